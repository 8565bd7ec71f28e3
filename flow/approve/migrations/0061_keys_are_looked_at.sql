-- Who made the key of an answer is read where keys are, with whoever stands behind those who made it.
ALTER TABLE approvals DROP COLUMN key_created_by;
