-- What a release meets in the schema :schema, as one JSON document on one line. Read only; it reads catalogs, and the row of the
-- table `schema_version`. tools/schema_compat_check.compare.sql compares two of these documents.
\set ON_ERROR_STOP on
BEGIN TRANSACTION READ ONLY;
SET LOCAL statement_timeout = '30s';
-- With an empty search path every name outside pg_catalog is written with its schema, whoever asks.
SET LOCAL search_path = '';

-- A table of that name with other columns is another tool's.
SELECT count(*) = 2 AS declares
FROM pg_catalog.pg_attribute
WHERE attrelid = to_regclass(format('%I.schema_version', :'schema')) AND attname IN ('version', 'works_for') \gset
\set declared null
\if :declares
SELECT coalesce(jsonb_agg(jsonb_build_object('version', version, 'works_for', works_for)), '[]') AS declared FROM :"schema".schema_version \gset
\endif

WITH
-- What an extension brought is its own affair: whether the extension is there is compared.
own AS (
    SELECT c.oid, c.relname AS name, c.relkind, c.relrowsecurity, c.relforcerowsecurity
    FROM pg_class c
    WHERE c.relnamespace = to_regnamespace(quote_ident(:'schema'))
      AND NOT EXISTS (SELECT FROM pg_depend d
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
),
relation AS (
    SELECT oid, name, relrowsecurity AS row_security, relforcerowsecurity AS row_security_forced,
           CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' ELSE 'table' END AS kind,
           -- Bits of CmdType: 4 UPDATE, 8 INSERT, 16 DELETE.
           pg_relation_is_updatable(oid, true) & 28 AS writable
    FROM own WHERE relkind IN ('r', 'p', 'f', 'v', 'm')
),
col AS (
    SELECT r.name AS relation, a.attname AS name, a.attnum AS position,
           format_type(a.atttypid, a.atttypmod) AS type, format_type(a.atttypid, NULL) AS base,
           a.attnotnull AS not_null, nullif(a.attidentity, '') AS identity, nullif(a.attgenerated, '') AS generated,
           pg_get_expr(d.adbin, d.adrelid) AS default
    FROM relation r
    JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
),
-- What ON CONFLICT (columns) can infer, and what forbids a second row; to neither the columns' order matters.
uniqueness AS (
    SELECT r.name AS relation, x.relname AS name,
           (SELECT string_agg(key, ', ' ORDER BY key)
            FROM (SELECT pg_get_indexdef(i.indexrelid, k, false) AS key FROM generate_series(1, i.indnkeyatts) k) keys)
               || coalesce(' WHERE ' || pg_get_expr(i.indpred, i.indrelid), '')
               -- Since PostgreSQL 15; by way of JSON, so that older servers can be asked too.
               || CASE WHEN to_jsonb(i) ->> 'indnullsnotdistinct' = 'true' THEN ' NULLS NOT DISTINCT' ELSE '' END
               || CASE WHEN i.indimmediate THEN '' ELSE ' DEFERRABLE' END
               || CASE WHEN i.indisvalid THEN '' ELSE ' INVALID' END AS definition,
           EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u')) AS is_constraint,
           coalesce(to_jsonb(i) ->> 'indnullsnotdistinct' = 'true', false) AS nulls_not_distinct,
           -- Unknown where it is over an expression.
           CASE WHEN 0 = ANY (i.indkey) THEN NULL ELSE
               (SELECT jsonb_agg(a.attname) FROM pg_attribute a
                WHERE a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])) END AS columns
    FROM relation r
    JOIN pg_index i ON i.indrelid = r.oid AND i.indisunique
    JOIN pg_class x ON x.oid = i.indexrelid
),
restriction AS (
    SELECT r.name AS relation, c.conname AS name,
           CASE c.contype WHEN 'c' THEN 'check' WHEN 'f' THEN 'foreign key' ELSE 'exclusion' END AS kind,
           -- One that is not yet proved for old rows holds for new ones all the same.
           regexp_replace(pg_get_constraintdef(c.oid), ' NOT VALID$', '') AS definition,
           -- Unknown where it is about whole rows.
           CASE WHEN 0 = ANY (c.conkey) THEN NULL ELSE
               (SELECT jsonb_agg(a.attname) FROM pg_attribute a
                WHERE a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)) END AS columns,
           (SELECT t.name FROM relation t WHERE t.oid = c.confrelid) AS target,
           c.confdeltype IN ('a', 'r') AS keeps_target
    FROM relation r
    JOIN pg_constraint c ON c.conrelid = r.oid AND c.contype IN ('c', 'f', 'x')
),
type AS (
    SELECT t.oid, t.typname AS name, t.typtype,
           CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range' ELSE 'composite type' END AS kind
    FROM pg_type t
    WHERE t.typnamespace = to_regnamespace(quote_ident(:'schema'))
      AND (t.typtype IN ('e', 'd', 'r')
           OR t.typtype = 'c' AND EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))
      AND NOT EXISTS (SELECT FROM pg_depend d
                      WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
),
type_definition AS (
    SELECT y.name, y.kind,
           CASE y.typtype
               WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod) || CASE WHEN t.typnotnull THEN ' NOT NULL' ELSE '' END
                   || coalesce(' DEFAULT ' || t.typdefault, '')
                   || coalesce((SELECT ' ' || string_agg(pg_get_constraintdef(c.oid), ' ' ORDER BY pg_get_constraintdef(c.oid))
                                FROM pg_constraint c WHERE c.contypid = t.oid AND c.contype = 'c'), '')
               WHEN 'r' THEN (SELECT format_type(g.rngsubtype, NULL) FROM pg_range g WHERE g.rngtypid = t.oid)
               WHEN 'c' THEN (SELECT string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
                              FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)
           END AS definition
    FROM type y JOIN pg_type t ON t.oid = y.oid
),
enum_value AS (
    SELECT y.name AS type, e.enumlabel AS value FROM type y JOIN pg_enum e ON e.enumtypid = y.oid
),
routine AS (
    SELECT format('%I(%s)', p.proname, oidvectortypes(p.proargtypes)) AS name,
           CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' WHEN 'w' THEN 'window function' ELSE 'function' END AS kind,
           pg_get_function_result(p.oid) AS result, pg_get_function_identity_arguments(p.oid) AS arguments, p.pronargdefaults AS defaults
    FROM pg_proc p
    WHERE p.pronamespace = to_regnamespace(quote_ident(:'schema'))
      -- Statements cannot call these.
      AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
      AND NOT EXISTS (SELECT FROM pg_depend d
                      WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
),
sequence AS (
    SELECT o.name,
           (SELECT r.name FROM pg_depend d JOIN relation r ON r.oid = d.refobjid
            WHERE d.classid = 'pg_class'::regclass AND d.objid = o.oid AND d.refclassid = 'pg_class'::regclass
              AND d.deptype IN ('a', 'i')) AS owner
    FROM own o WHERE o.relkind = 'S'
),
trigger AS (
    SELECT r.name AS relation, t.tgname AS name, pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text AS definition
    FROM relation r JOIN pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal
),
policy AS (
    SELECT r.name AS relation, p.policyname AS name,
           concat_ws(' ', p.permissive, p.cmd, p.roles, p.qual, 'CHECK', p.with_check) AS definition
    FROM relation r JOIN pg_policies p ON p.schemaname = :'schema' AND p.tablename = r.name
)
SELECT jsonb_build_object(
    'server_version', current_setting('server_version'),
    'exists', to_regnamespace(quote_ident(:'schema')) IS NOT NULL,
    'declared', :'declared'::jsonb,
    'relations', (SELECT jsonb_agg(x) FROM (SELECT name, kind, row_security, row_security_forced, writable FROM relation) x),
    'columns', (SELECT jsonb_agg(x) FROM col x),
    'uniqueness', (SELECT jsonb_agg(x) FROM uniqueness x),
    'restrictions', (SELECT jsonb_agg(x) FROM restriction x),
    'types', (SELECT jsonb_agg(x) FROM type_definition x),
    'enum_values', (SELECT jsonb_agg(x) FROM enum_value x),
    'routines', (SELECT jsonb_agg(x) FROM routine x),
    'sequences', (SELECT jsonb_agg(x) FROM sequence x),
    'triggers', (SELECT jsonb_agg(x) FROM trigger x),
    'policies', (SELECT jsonb_agg(x) FROM policy x),
    'extensions', (SELECT jsonb_agg(x) FROM (SELECT extname AS name FROM pg_extension) x)
);
COMMIT;
