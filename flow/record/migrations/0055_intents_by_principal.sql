-- An agent lists what it asked itself: found by who asked, newest first.
CREATE INDEX intents_by_principal ON intents (org_id, principal_id, id);
