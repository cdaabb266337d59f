-- A key with a list of servers sees what belongs to those alone (as in 021).

DROP POLICY IF EXISTS key_servers ON server_events;

CREATE POLICY key_servers ON server_events AS RESTRICTIVE FOR ALL TO mchost_api
    USING      (nullif(current_setting('app.servers', true), '') IS NULL
             OR server_id = ANY (nullif(current_setting('app.servers', true), '')::uuid[]))
    WITH CHECK (nullif(current_setting('app.servers', true), '') IS NULL
             OR server_id = ANY (nullif(current_setting('app.servers', true), '')::uuid[]));

DROP POLICY IF EXISTS key_servers ON server_metrics;

CREATE POLICY key_servers ON server_metrics AS RESTRICTIVE FOR ALL TO mchost_api
    USING      (nullif(current_setting('app.servers', true), '') IS NULL
             OR server_id = ANY (nullif(current_setting('app.servers', true), '')::uuid[]))
    WITH CHECK (nullif(current_setting('app.servers', true), '') IS NULL
             OR server_id = ANY (nullif(current_setting('app.servers', true), '')::uuid[]));

DROP POLICY IF EXISTS key_servers ON server_backups;

CREATE POLICY key_servers ON server_backups AS RESTRICTIVE FOR ALL TO mchost_api
    USING      (nullif(current_setting('app.servers', true), '') IS NULL
             OR server_id = ANY (nullif(current_setting('app.servers', true), '')::uuid[]))
    WITH CHECK (nullif(current_setting('app.servers', true), '') IS NULL
             OR server_id = ANY (nullif(current_setting('app.servers', true), '')::uuid[]));
