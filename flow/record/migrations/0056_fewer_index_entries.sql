-- Every decision paid for a place in each of these, though neither is needed to find it: its story's
-- identifier is that of its intent, whose row names the entry, and what is allowed is the most common
-- of all types, found on the way along the record.
DROP INDEX entries_by_correlation;
CREATE INDEX entries_by_correlation ON entries (org_id, correlation_id, seq)
    WHERE correlation_id IS NOT NULL AND kind NOT IN ('intent.allowed', 'intent.escalated', 'intent.denied');
DROP INDEX entries_by_kind;
CREATE INDEX entries_by_kind ON entries (org_id, kind, seq) WHERE kind <> 'intent.allowed';
