-- What a tenant may have, and that it may be read-only.

ALTER TABLE tenants ADD COLUMN IF NOT EXISTS max_memory bigint NOT NULL DEFAULT 1099511627776 CHECK (max_memory >= 0);

ALTER TABLE tenants ADD COLUMN IF NOT EXISTS max_cpu bigint NOT NULL DEFAULT 512000 CHECK (max_cpu >= 0);

ALTER TABLE tenants ADD COLUMN IF NOT EXISTS max_storage bigint NOT NULL DEFAULT 17592186044416 CHECK (max_storage >= 0);

ALTER TABLE tenants ADD COLUMN IF NOT EXISTS max_sockets bigint NOT NULL DEFAULT 10000 CHECK (max_sockets >= 0);

ALTER TABLE tenants ADD COLUMN IF NOT EXISTS max_keys bigint NOT NULL DEFAULT 100 CHECK (max_keys >= 0);

-- 0: no limit.
ALTER TABLE tenants ADD COLUMN IF NOT EXISTS requests_per_minute bigint NOT NULL DEFAULT 0 CHECK (requests_per_minute >= 0);

ALTER TABLE tenants ADD COLUMN IF NOT EXISTS suspended_at timestamptz;

ALTER TABLE tenants ADD COLUMN IF NOT EXISTS suspended_reason text NOT NULL DEFAULT '' CHECK (length(suspended_reason) <= 256);

ALTER TABLE tenants ADD COLUMN IF NOT EXISTS deleted_at timestamptz;

ALTER TABLE tenants ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();

-- What a server asks for: bytes, thousandths of a core, bytes. Written with
-- the spec that says it.
ALTER TABLE servers ADD COLUMN IF NOT EXISTS memory bigint NOT NULL DEFAULT 0 CHECK (memory >= 0);

ALTER TABLE servers ADD COLUMN IF NOT EXISTS cpu bigint NOT NULL DEFAULT 0 CHECK (cpu >= 0);

ALTER TABLE servers ADD COLUMN IF NOT EXISTS storage bigint NOT NULL DEFAULT 0 CHECK (storage >= 0);

ALTER TABLE tenant_usage ADD COLUMN IF NOT EXISTS memory bigint NOT NULL DEFAULT 0 CHECK (memory >= 0);

ALTER TABLE tenant_usage ADD COLUMN IF NOT EXISTS cpu bigint NOT NULL DEFAULT 0 CHECK (cpu >= 0);

ALTER TABLE tenant_usage ADD COLUMN IF NOT EXISTS storage bigint NOT NULL DEFAULT 0 CHECK (storage >= 0);

ALTER TABLE tenant_usage ADD COLUMN IF NOT EXISTS keys bigint NOT NULL DEFAULT 0 CHECK (keys >= 0);

-- Servers from before count as well. The owner is bound by the policies like
-- everybody, but for these statements; FORCE comes back below, also when they
-- were interrupted.
ALTER TABLE servers NO FORCE ROW LEVEL SECURITY;

ALTER TABLE tenant_usage NO FORCE ROW LEVEL SECURITY;

UPDATE servers s
   SET memory = trunc(rtrim(q.memory, 'KMGTik')::numeric * (CASE substr(q.memory, length(rtrim(q.memory, 'KMGTik')) + 1)
                    WHEN 'Ki' THEN 1024 WHEN 'Mi' THEN 1048576 WHEN 'Gi' THEN 1073741824 WHEN 'Ti' THEN 1099511627776
                    WHEN 'k' THEN 1000 WHEN 'M' THEN 1000000 WHEN 'G' THEN 1000000000 WHEN 'T' THEN 1000000000000 ELSE 1 END)::numeric)::bigint,
       storage = trunc(rtrim(q.storage, 'KMGTik')::numeric * (CASE substr(q.storage, length(rtrim(q.storage, 'KMGTik')) + 1)
                    WHEN 'Ki' THEN 1024 WHEN 'Mi' THEN 1048576 WHEN 'Gi' THEN 1073741824 WHEN 'Ti' THEN 1099511627776
                    WHEN 'k' THEN 1000 WHEN 'M' THEN 1000000 WHEN 'G' THEN 1000000000 WHEN 'T' THEN 1000000000000 ELSE 1 END)::numeric)::bigint,
       cpu = trunc(rtrim(q.cpu, 'm')::numeric * (CASE WHEN right(q.cpu, 1) = 'm' THEN 1 ELSE 1000 END)::numeric)::bigint
  FROM (SELECT tenant_id, id, coalesce(spec #>> '{resources,memory}', '2Gi') AS memory, coalesce(spec #>> '{resources,cpu}', '1') AS cpu,
               coalesce(spec #>> '{storage,size}', '10Gi') AS storage
          FROM servers) q
 WHERE s.tenant_id = q.tenant_id AND s.id = q.id AND s.memory = 0;

UPDATE tenant_usage u
   SET servers = q.servers, memory = q.memory, cpu = q.cpu, storage = q.storage
  FROM (SELECT tenant_id, count(*) AS servers, sum(memory)::bigint AS memory, sum(cpu)::bigint AS cpu, sum(storage)::bigint AS storage
          FROM servers WHERE deleted_at IS NULL GROUP BY tenant_id) q
 WHERE u.tenant_id = q.tenant_id;

ALTER TABLE tenant_usage FORCE ROW LEVEL SECURITY;

ALTER TABLE servers FORCE ROW LEVEL SECURITY;
