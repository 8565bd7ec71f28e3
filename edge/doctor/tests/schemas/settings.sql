-- A shop whose tenants come from a setting of the transaction, as well made as it gets: an owner who
-- never logs in, a login with what it needs, policies in every table, parts that nobody reaches.
DO $$ BEGIN
    PERFORM pg_advisory_xact_lock(7001);
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'shop_owner') THEN
        CREATE ROLE shop_owner NOLOGIN;
        CREATE ROLE shop_app LOGIN NOINHERIT PASSWORD 'test-shop_app';
        CREATE ROLE shop_jobs NOLOGIN;
    END IF;
END $$;
CREATE SCHEMA shop AUTHORIZATION shop_owner;
GRANT USAGE ON SCHEMA shop TO shop_app, shop_jobs;
SET ROLE shop_owner;
SET search_path = shop;

CREATE FUNCTION tenant() RETURNS uuid LANGUAGE sql STABLE
    AS $$ SELECT nullif(current_setting('app.org_id', true), '')::uuid $$;

CREATE TABLE plans (name text PRIMARY KEY, monthly int NOT NULL);
GRANT SELECT ON plans TO shop_app;

CREATE TABLE customers (
    org_id uuid NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL,
    published boolean NOT NULL DEFAULT false,
    PRIMARY KEY (org_id, id)
);
ALTER TABLE customers ENABLE ROW LEVEL SECURITY;
ALTER TABLE customers FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON customers USING (org_id = (SELECT tenant())) WITH CHECK (org_id = (SELECT tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON customers TO shop_app;

CREATE TABLE orders (
    org_id uuid NOT NULL,
    placed date NOT NULL,
    id bigint NOT NULL,
    customer_id bigint NOT NULL,
    PRIMARY KEY (org_id, placed, id),
    FOREIGN KEY (org_id, customer_id) REFERENCES customers (org_id, id)
) PARTITION BY RANGE (placed);
CREATE TABLE orders_2026 PARTITION OF orders FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
ALTER TABLE orders FORCE ROW LEVEL SECURITY;
CREATE POLICY reads ON orders FOR SELECT TO shop_app USING (org_id = tenant());
CREATE POLICY places ON orders FOR INSERT TO shop_app WITH CHECK (org_id = tenant());
-- For the jobs, which reach rows through functions only.
CREATE POLICY jobs ON orders FOR SELECT TO shop_jobs USING (true);
GRANT SELECT, INSERT ON orders TO shop_app;
GRANT SELECT ON orders TO shop_jobs;

CREATE VIEW published WITH (security_invoker = true) AS SELECT * FROM customers WHERE published;
GRANT SELECT ON published TO shop_app;
RESET ROLE;

CREATE FUNCTION order_count() RETURNS bigint LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, shop, pg_temp AS $$
BEGIN
    RETURN (SELECT count(*) FROM orders WHERE org_id = tenant());
END $$;
GRANT CREATE ON SCHEMA shop TO shop_jobs;
ALTER FUNCTION order_count() OWNER TO shop_jobs;
REVOKE CREATE ON SCHEMA shop FROM shop_jobs;
REVOKE ALL ON FUNCTION order_count() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION order_count() TO shop_app;
RESET search_path;
