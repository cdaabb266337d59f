-- The generation that a kill made: while it is the present one, a server is
-- stopped without any time to save.

ALTER TABLE servers ADD COLUMN IF NOT EXISTS kill_generation bigint;
