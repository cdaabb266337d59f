-- The four roles, made once by a superuser before the first migration:
--
--     psql -v owner_password=… -v api_password=… -v reconciler_password=… \
--          -v platform_password=… \
--          -f sql/roles.sql postgres
--     createdb -O mchost_owner mchost
--
-- Safe to repeat; a repeated run sets the passwords anew.

SELECT 'CREATE ROLE mchost_owner'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'mchost_owner') \gexec
SELECT 'CREATE ROLE mchost_api'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'mchost_api') \gexec
SELECT 'CREATE ROLE mchost_reconciler'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'mchost_reconciler') \gexec
SELECT 'CREATE ROLE mchost_platform'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'mchost_platform') \gexec

-- mchost_owner owns the tables and applies migrations.
-- mchost_api is nginx: it owns nothing and cannot bypass row-level security.
-- mchost_reconciler reads every tenant's servers, by policies made for it.
-- mchost_platform is nginx when it answers /platform: it sees tenants once the
-- key of a platform operator was presented, and no server of theirs.
ALTER ROLE mchost_owner      WITH LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE PASSWORD :'owner_password';
ALTER ROLE mchost_api        WITH LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE PASSWORD :'api_password';
ALTER ROLE mchost_reconciler WITH LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE PASSWORD :'reconciler_password';
ALTER ROLE mchost_platform   WITH LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE PASSWORD :'platform_password';

-- JSON made in the database carries times in UTC (RFC 3339).
ALTER ROLE mchost_owner      SET timezone = 'UTC';
ALTER ROLE mchost_api        SET timezone = 'UTC';
ALTER ROLE mchost_reconciler SET timezone = 'UTC';
ALTER ROLE mchost_platform   SET timezone = 'UTC';
