-- The role that Grafana reads PostgreSQL as: it may read what the dashboards show and nothing else, no account, no
-- token, no log of who asked for what. Run it as the owner of the tables after each migration; it may run again:
--   GRAFANA_DATABASE_PASSWORD=… psql --dbname=postgresql://… --file=deploy/grafana/reader.sql
\set ON_ERROR_STOP on
\set QUIET on
\set password ''
\getenv password GRAFANA_DATABASE_PASSWORD
SELECT length(:'password') < 16 AS missing \gset
\if :missing
DO $$ BEGIN RAISE EXCEPTION 'GRAFANA_DATABASE_PASSWORD is not set, or shorter than 16 characters'; END $$;
\endif

SELECT 'CREATE ROLE closecast_grafana' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'closecast_grafana') \gexec

BEGIN;
ALTER ROLE closecast_grafana LOGIN CONNECTION LIMIT 10 PASSWORD :'password';
ALTER ROLE closecast_grafana SET default_transaction_read_only = on;
ALTER ROLE closecast_grafana SET statement_timeout = '10s';
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM closecast_grafana;
GRANT USAGE ON SCHEMA public TO closecast_grafana;
GRANT SELECT ON
    score_days, live_skill, data_versions, chain_runs, chain_steps, answer_counts, unanswered_counts
    TO closecast_grafana;
-- Of these, without what names a person or what a person wrote.
GRANT SELECT (id, kind, created_at, registered_at, train_end, calibration_end, files_deleted_at)
    ON bundles TO closecast_grafana;
GRANT SELECT (id, bundle_id, previous_bundle_id, kind, decided_at, reason) ON promotions TO closecast_grafana;
GRANT SELECT (id, bundle_id, champion_id, decided_at, passed, test_number, p_value) ON challenges TO closecast_grafana;
GRANT SELECT (id, made_at, bundle_id, days, columns, recommendation, reason, causes)
    ON drift_reports TO closecast_grafana;
GRANT SELECT (id, kind, status, failure, created_at, started_at, finished_at, attempt)
    ON training_jobs TO closecast_grafana;
GRANT SELECT (id, decided_at, trains, rules, reason) ON retrain_decisions TO closecast_grafana;
GRANT SELECT (ticker, as_of, exchange, source, live, cutoff, published_at) ON serving_windows TO closecast_grafana;
GRANT SELECT (ticker, as_of, cause, source, bars_needed, bars_found, expires_at)
    ON window_failures TO closecast_grafana;
COMMIT;
