-- Whether a release built for the schema :old can work on the schema :new: two documents of tools/schema_compat_check.snapshot.sql,
-- the second `null` if there is none because of the findings in :migrations. :old_server is the old server's version, if the
-- document is of a copy. Prints `compatible`, `incompatible` or `no answer: ` and why on the first line, then the report: JSON if
-- :json, else lines. It touches no table.
\set ON_ERROR_STOP on
BEGIN TRANSACTION READ ONLY;
SET LOCAL statement_timeout = '30s';

WITH
side AS (
    SELECT * FROM (VALUES ('old', :'old'::jsonb), ('new', :'new'::jsonb)) s (side, doc) WHERE :'new' <> 'null'
),
relation AS (
    SELECT side, x.*, CASE WHEN kind LIKE '%view' THEN 'view' ELSE 'table' END AS noun
    FROM side, jsonb_to_recordset(nullif(doc -> 'relations', 'null')) x
        (name text, kind text, row_security bool, row_security_forced bool, writable int)
),
col AS (
    SELECT side, x.*, format('%I.%I', relation, name) AS object,
           coalesce(generated, identity, "default") IS NOT NULL AS filled,
           -- (10) of varchar(10), (10,2) of numeric(10,2), (3) of timestamp(3) with time zone; null if there is no limit.
           string_to_array(substring(type FROM '\(([-0-9,]+)\)'), ',')::int[] AS size
    FROM side, jsonb_to_recordset(nullif(doc -> 'columns', 'null')) x
        (relation text, name text, position int, type text, base text, not_null bool, identity text, generated text, "default" text)
),
uniqueness AS (
    SELECT side, x.* FROM side, jsonb_to_recordset(nullif(doc -> 'uniqueness', 'null')) x
        (relation text, name text, definition text, is_constraint bool, nulls_not_distinct bool, columns jsonb)
),
restriction AS (
    SELECT side, x.* FROM side, jsonb_to_recordset(nullif(doc -> 'restrictions', 'null')) x
        (relation text, name text, kind text, definition text, columns jsonb, target text, keeps_target bool)
),
type AS (
    SELECT side, x.* FROM side, jsonb_to_recordset(nullif(doc -> 'types', 'null')) x (name text, kind text, definition text)
),
enum_value AS (
    SELECT side, x.* FROM side, jsonb_to_recordset(nullif(doc -> 'enum_values', 'null')) x (type text, value text)
),
routine AS (
    SELECT side, x.* FROM side, jsonb_to_recordset(nullif(doc -> 'routines', 'null')) x
        (name text, kind text, result text, arguments text, defaults int)
),
sequence AS (
    SELECT side, x.* FROM side, jsonb_to_recordset(nullif(doc -> 'sequences', 'null')) x (name text, owner text)
),
trigger AS (
    SELECT side, x.* FROM side, jsonb_to_recordset(nullif(doc -> 'triggers', 'null')) x (relation text, name text, definition text)
),
policy AS (
    SELECT side, x.* FROM side, jsonb_to_recordset(nullif(doc -> 'policies', 'null')) x (relation text, name text, definition text)
),
extension AS (
    SELECT side, x.* FROM side, jsonb_to_recordset(nullif(doc -> 'extensions', 'null')) x (name text)
),

-- Relations that are on both sides: what is said of columns and the like is said of these.
kept AS (
    SELECT o.name, o.kind AS old_kind, n.kind AS new_kind, o.noun, o.writable AS old_writable, n.writable AS new_writable,
           n.row_security AND (NOT o.row_security OR n.row_security_forced AND NOT o.row_security_forced) AS secured
    FROM relation o JOIN relation n ON n.side = 'new' AND n.name = o.name
    WHERE o.side = 'old'
),
gone_relation AS (
    SELECT o.name, o.noun,
           -- One that came with the same columns is the same under another name.
           (SELECT min(n.name) FROM relation n
            WHERE n.side = 'new' AND n.kind = o.kind
              AND NOT EXISTS (SELECT FROM relation p WHERE p.side = 'old' AND p.name = n.name)
              AND (SELECT jsonb_object_agg(name, type) FROM col WHERE side = 'new' AND relation = n.name)
                = (SELECT jsonb_object_agg(name, type) FROM col WHERE side = 'old' AND relation = o.name)) AS new_name
    FROM relation o
    WHERE o.side = 'old' AND NOT EXISTS (SELECT FROM kept k WHERE k.name = o.name)
),
kept_column AS (
    SELECT o.object, o.type AS old_type, n.type AS new_type, o.not_null AS old_not_null, n.not_null AS new_not_null,
           o.filled AS old_filled, n.filled AS new_filled, o.generated AS old_generated, n.generated AS new_generated,
           o.identity AS old_identity, n.identity AS new_identity, o."default" AS old_default, n."default" AS new_default,
           -- The new type takes and shows every value of the old one in the same way, but for zeros at a number's end.
           CASE
               WHEN o.type = n.type THEN true
               WHEN o.base IN ('character varying', 'text') AND n.base IN ('character varying', 'text')
                   THEN n.size IS NULL OR n.size[1] >= o.size[1]
               WHEN o.base <> n.base THEN false
               WHEN o.base = 'numeric'
                   THEN n.size IS NULL OR n.size[2] >= o.size[2] AND n.size[1] - n.size[2] >= o.size[1] - o.size[2]
               WHEN o.base ~ '^(timestamp|time|interval|bit varying)' THEN n.size IS NULL OR n.size[1] >= o.size[1]
           END IS TRUE AS holds,
           o.base = 'numeric' AND n.base = 'numeric' AND o.size[2] IS DISTINCT FROM n.size[2] AS rescaled
    FROM col o JOIN col n ON n.side = 'new' AND n.relation = o.relation AND n.name = o.name
    WHERE o.side = 'old'
),
-- Columns that the old release does not know: it writes the default there, or null.
fresh AS (
    SELECT n.*, n."default" ~ '(nextval|gen_random_uuid|uuid_generate_v[14])\(' OR n.identity IS NOT NULL AS differs_per_row
    FROM col n JOIN kept k ON k.name = n.relation
    WHERE n.side = 'new' AND NOT EXISTS (SELECT FROM col o WHERE o.side = 'old' AND o.relation = n.relation AND o.name = n.name)
),
gone_column AS (
    SELECT o.object, o.relation, o.name,
           (SELECT f.name FROM fresh f WHERE f.relation = o.relation AND f.position = o.position AND f.type = o.type) AS new_name
    FROM col o JOIN kept k ON k.name = o.relation
    WHERE o.side = 'old'
      AND NOT EXISTS (SELECT FROM col n WHERE n.side = 'new' AND n.relation = o.relation AND n.name = o.name)
),
new_restriction AS (
    SELECT r.kind, r.name, r.definition, format('%I.%I', r.relation, r.name) AS object, about.*
    FROM restriction r
    JOIN kept k ON k.name = r.relation,
    -- Where the columns are unknown, none is fresh.
    LATERAL (SELECT coalesce(count(f.name) = jsonb_array_length(r.columns), false) AS only_fresh,
                    coalesce(bool_or(NOT f.filled), false) AS some_null,
                    coalesce(count(*) FILTER (WHERE NOT f.filled) = jsonb_array_length(r.columns), false) AS all_null
             FROM jsonb_array_elements_text(r.columns) c (name)
             LEFT JOIN fresh f ON f.relation = r.relation AND f.name = c.name) about
    WHERE r.side = 'new'
      AND NOT EXISTS (SELECT FROM restriction o
                      WHERE o.side = 'old' AND o.relation = r.relation AND o.definition = r.definition)
),
harmless_restriction AS (
    SELECT object FROM new_restriction
    WHERE CASE kind
        -- Where every operand is null a comparison is null, and a check passes. Not so with what treats null as a value: IS,
        -- COALESCE, CASE, and functions, but for a few that are known to return null.
        WHEN 'check' THEN all_null AND NOT
            regexp_replace(definition, '\m(length|char_length|octet_length|upper|lower|btrim|abs)\(', '', 'g')
                ~ '\m(IS|COALESCE|CASE|NULLIF|GREATEST|LEAST)\M|[a-z0-9_"]\('
        WHEN 'foreign key' THEN CASE WHEN definition ~ 'MATCH FULL' THEN all_null ELSE some_null END
        ELSE some_null
    END
),
new_uniqueness AS (
    SELECT format('%I.%I', u.relation, u.name) AS object, u.definition
    FROM uniqueness u JOIN kept k ON k.name = u.relation
    WHERE u.side = 'new'
      AND NOT EXISTS (SELECT FROM uniqueness o
                      WHERE o.side = 'old' AND o.relation = u.relation AND o.definition = u.definition)
      -- It moved with a renamed column, which is said already.
      AND NOT EXISTS (SELECT FROM gone_column g WHERE g.relation = u.relation AND u.columns ? g.new_name)
      -- The old release's rows cannot meet: nulls are not equal to each other, numbers from a sequence are not either.
      AND NOT EXISTS (SELECT FROM jsonb_array_elements_text(u.columns) c (name)
                      JOIN fresh f ON f.relation = u.relation AND f.name = c.name
                      WHERE f.differs_per_row OR NOT f.filled AND NOT u.nulls_not_distinct)
),

finding (code, object, message) AS (
    SELECT x.* FROM jsonb_to_recordset(:'migrations'::jsonb) x (code text, object text, message text)
    UNION ALL
    SELECT 'declared-incompatible', 'schema_version',
           format('schema %s declares that it works for releases built for schema %s or later; the old one is %s',
                  n.doc #>> '{declared,0,version}', n.doc #>> '{declared,0,works_for}', o.doc #>> '{declared,0,version}')
    FROM side o, side n
    WHERE o.side = 'old' AND n.side = 'new'
      AND (n.doc #>> '{declared,0,works_for}')::bigint > (o.doc #>> '{declared,0,version}')::bigint

    UNION ALL
    SELECT noun || '-dropped', quote_ident(name), 'the ' || noun || ' is gone' FROM gone_relation WHERE new_name IS NULL
    UNION ALL
    SELECT noun || '-renamed', quote_ident(name), format('the %s is now called %I', noun, new_name)
    FROM gone_relation WHERE new_name IS NOT NULL
    UNION ALL
    SELECT 'kind-changed', quote_ident(name), format('was a %s and is a %s', old_kind, new_kind) FROM kept WHERE old_kind <> new_kind
    UNION ALL
    SELECT 'view-read-only', quote_ident(name), 'the view no longer takes every change that it took'
    FROM kept WHERE noun = 'view' AND old_kind = new_kind AND old_writable & ~new_writable <> 0
    UNION ALL
    SELECT 'row-security-enabled', quote_ident(name), 'row level security is switched on'
    FROM kept WHERE secured

    UNION ALL
    SELECT 'column-dropped', object, 'the column is gone' FROM gone_column WHERE new_name IS NULL
    UNION ALL
    SELECT 'column-renamed', object, format('the column is now called %I', new_name) FROM gone_column WHERE new_name IS NOT NULL
    UNION ALL
    SELECT 'column-required', object, 'the new column must have a value, and has no default' FROM fresh f
    WHERE not_null AND NOT filled AND NOT EXISTS (SELECT FROM gone_column g WHERE g.relation = f.relation AND g.new_name = f.name)
    UNION ALL
    SELECT 'column-type-changed', object, format('was %s and is %s', old_type, new_type) FROM kept_column WHERE NOT holds
    UNION ALL
    SELECT 'column-not-null', object, 'could be null and cannot any more' FROM kept_column WHERE new_not_null AND NOT old_not_null
    UNION ALL
    SELECT 'column-default-dropped', object, 'must have a value, and the default that gave it one is gone'
    FROM kept_column WHERE new_not_null AND old_filled AND NOT new_filled
    UNION ALL
    SELECT 'column-generated', object,
           CASE WHEN new_generated IS NULL THEN 'became GENERATED ALWAYS AS IDENTITY' ELSE 'became a generated column' END
           || ': a statement that writes it fails'
    FROM kept_column
    WHERE new_generated IS NOT NULL AND old_generated IS NULL OR new_identity = 'a' AND old_identity IS DISTINCT FROM 'a'

    UNION ALL
    SELECT replace(kind, ' ', '-') || '-added', object, 'new, or changed: ' || definition
    FROM new_restriction r
    WHERE NOT EXISTS (SELECT FROM harmless_restriction h WHERE h.object = r.object)
      AND NOT (r.only_fresh AND NOT r.some_null AND r.kind <> 'exclusion')
    UNION ALL
    SELECT 'unique-added', object, 'rows must now differ in: ' || definition FROM new_uniqueness
    UNION ALL
    SELECT 'unique-dropped', format('%I.%I', u.relation, u.name), 'rows no longer have to differ in: ' || u.definition
    FROM uniqueness u JOIN kept k ON k.name = u.relation
    WHERE u.side = 'old'
      AND NOT EXISTS (SELECT FROM uniqueness n
                      WHERE n.side = 'new' AND n.relation = u.relation AND n.definition = u.definition)
      AND NOT EXISTS (SELECT FROM gone_column g WHERE g.relation = u.relation AND u.columns ? g.name)

    UNION ALL
    SELECT 'type-dropped', quote_ident(o.name), 'the ' || o.kind || ' is gone'
    FROM type o
    WHERE o.side = 'old' AND NOT EXISTS (SELECT FROM type n WHERE n.side = 'new' AND n.name = o.name AND n.kind = o.kind)
    UNION ALL
    SELECT 'type-changed', quote_ident(o.name), format('the %s was (%s) and is (%s)', o.kind, o.definition, n.definition)
    FROM type o JOIN type n ON n.side = 'new' AND n.name = o.name AND n.kind = o.kind
    WHERE o.side = 'old' AND o.definition <> n.definition
    UNION ALL
    SELECT CASE e.side WHEN 'old' THEN 'enum-value-dropped' ELSE 'enum-value-added' END, quote_ident(e.type),
           format('the value %L is %s', e.value, CASE e.side WHEN 'old' THEN 'gone' ELSE 'new' END)
    FROM enum_value e
    WHERE NOT EXISTS (SELECT FROM enum_value f WHERE f.side <> e.side AND f.type = e.type AND f.value = e.value)
      AND (SELECT count(*) FROM type t WHERE t.name = e.type AND t.kind = 'enum') = 2

    UNION ALL
    SELECT 'function-dropped', o.name, 'the ' || o.kind || ' is gone, or takes other arguments'
    FROM routine o
    WHERE o.side = 'old' AND NOT EXISTS (SELECT FROM routine n WHERE n.side = 'new' AND n.name = o.name)
    UNION ALL
    SELECT 'function-changed', o.name,
           format('was a %s(%s)%s with %s defaults, and is a %s(%s)%s with %s defaults',
                  o.kind, o.arguments, ' returning ' || o.result, o.defaults,
                  n.kind, n.arguments, ' returning ' || n.result, n.defaults)
    FROM routine o JOIN routine n ON n.side = 'new' AND n.name = o.name
    WHERE o.side = 'old'
      AND ((o.kind, o.arguments) <> (n.kind, n.arguments) OR o.result IS DISTINCT FROM n.result OR n.defaults < o.defaults)
    UNION ALL
    SELECT 'sequence-dropped', quote_ident(o.name), 'the sequence is gone'
    FROM sequence o
    WHERE o.side = 'old' AND NOT EXISTS (SELECT FROM sequence n WHERE n.side = 'new' AND n.name = o.name)
      -- It went with its table, which is said already.
      AND NOT EXISTS (SELECT FROM gone_relation g WHERE g.name = o.owner)
    UNION ALL
    SELECT 'extension-dropped', quote_ident(o.name), 'the extension is gone'
    FROM extension o
    WHERE o.side = 'old' AND NOT EXISTS (SELECT FROM extension n WHERE n.side = 'new' AND n.name = o.name)
),

warning (code, object, message) AS (
    SELECT 'server-version-differs', 'server', format('PostgreSQL %s and %s may write the same definition differently',
           split_part(o.version, '.', 1), split_part(n.doc ->> 'server_version', '.', 1))
    FROM (SELECT coalesce(nullif(:'old_server', ''), doc ->> 'server_version') AS version FROM side WHERE side = 'old') o, side n
    WHERE n.side = 'new' AND split_part(o.version, '.', 1) <> split_part(n.doc ->> 'server_version', '.', 1)
    UNION ALL
    SELECT 'constraint-on-default', object, 'the old release writes the new column''s default: it has to pass ' || definition
    FROM new_restriction r
    WHERE only_fresh AND NOT some_null AND kind <> 'exclusion'
    UNION ALL
    SELECT 'check-dropped', format('%I.%I', r.relation, r.name), 'values may come that could not come before: ' || r.definition
    FROM restriction r JOIN kept k ON k.name = r.relation
    WHERE r.side = 'old' AND r.kind = 'check'
      AND NOT EXISTS (SELECT FROM gone_column g WHERE g.relation = r.relation AND r.columns ? g.name)
      AND NOT EXISTS (SELECT FROM restriction n
                      WHERE n.side = 'new' AND n.relation = r.relation AND n.definition = r.definition)
    UNION ALL
    SELECT 'reference-added', format('%I.%I', r.relation, r.name),
           format('a row of %I that this new table refers to can no longer be deleted', r.target)
    FROM restriction r JOIN kept k ON k.name = r.target
    WHERE r.side = 'new' AND r.keeps_target AND NOT EXISTS (SELECT FROM kept t WHERE t.name = r.relation)
    UNION ALL
    SELECT 'constraint-renamed', format('%I.%I', u.relation, u.name), 'ON CONFLICT ON CONSTRAINT does not find this name any more'
    FROM uniqueness u
    WHERE u.side = 'old' AND u.is_constraint
      AND EXISTS (SELECT FROM uniqueness n WHERE n.side = 'new' AND n.relation = u.relation AND n.definition = u.definition)
      AND NOT EXISTS (SELECT FROM uniqueness n
                      WHERE n.side = 'new' AND n.relation = u.relation AND n.definition = u.definition
                        AND n.name = u.name AND n.is_constraint)
    UNION ALL
    SELECT 'column-default-changed', object,
           format('was %s and is %s', coalesce(old_generated, old_default, 'absent'), coalesce(new_generated, new_default, 'absent'))
    FROM kept_column
    WHERE (old_default, old_generated) IS DISTINCT FROM (new_default, new_generated)
      AND new_identity IS NULL AND (new_generated IS NULL OR old_generated IS NOT NULL)
      AND NOT (new_not_null AND old_filled AND NOT new_filled)
    UNION ALL
    SELECT 'column-scale-changed', object, format('was %s and is %s: the same number has another text', old_type, new_type)
    FROM kept_column WHERE holds AND rescaled
    UNION ALL
    SELECT CASE t.side WHEN 'old' THEN 'trigger-dropped' ELSE 'trigger-added' END, format('%I.%I', t.relation, t.name), t.definition
    FROM trigger t JOIN kept k ON k.name = t.relation
    WHERE NOT EXISTS (SELECT FROM trigger u
                      WHERE u.side <> t.side AND u.relation = t.relation AND u.name = t.name AND u.definition = t.definition)
    UNION ALL
    SELECT CASE p.side WHEN 'old' THEN 'policy-dropped' ELSE 'policy-added' END, format('%I.%I', p.relation, p.name), p.definition
    FROM policy p JOIN kept k ON k.name = p.relation
    WHERE NOT EXISTS (SELECT FROM policy q
                      WHERE q.side <> p.side AND q.relation = p.relation AND q.name = p.name AND q.definition = p.definition)
),

hint (codes, hint) AS (VALUES
    ('table-dropped view-dropped column-dropped type-dropped function-dropped sequence-dropped extension-dropped enum-value-dropped',
     'drop it in a later release, when no release that uses it can come back'),
    ('table-renamed view-renamed column-renamed',
     'add the new name beside the old one, let releases write both, drop the old one in a later release'),
    ('kind-changed view-read-only type-changed function-changed',
     'add the new form under a new name, and drop the old one in a later release'),
    ('column-required', 'give it a default, or let it be null until every release writes it'),
    ('column-type-changed', 'add a column of the new type, let releases write both, drop the old one in a later release'),
    ('column-not-null unique-added check-added foreign-key-added exclusion-added',
     'the old release may write what this refuses: let releases keep to it first, add it one release later'),
    ('column-default-dropped', 'keep the default until no release leaves the column out'),
    ('column-generated', 'leave the column as it is until no release writes it'),
    ('unique-dropped', 'ON CONFLICT of the old release needs it: keep it until no release names these columns'),
    ('enum-value-added', 'ship a release that can read the value first, add it to the type one release later'),
    ('row-security-enabled', 'the old release may see and write fewer rows: ship one that sets what the policies ask for first'),
    ('declared-incompatible', 'the service''s authors say so: go by way of the releases between, or plan a maintenance'),
    ('migration-edited', 'put the file back as it was applied, and change things in a new migration'),
    ('migration-failed', 'it ran on an empty copy of the old schema, as its owner without superuser rights'),
    ('migration-order', 'number the files 1, 2, 3, ... and put new ones at the end'),
    ('migration-name', 'call it NUMBER_name.sql or NUMBER-name.sql'),
    ('migration-unknown', 'the database is ahead of this folder: compare with the folder of the release that migrated it last'),
    ('server-version-differs', 'compare databases of the same major version'),
    ('constraint-on-default', 'try an INSERT that leaves the column out'),
    ('check-dropped', 'ship a release that can read such values first'),
    ('reference-added', 'if the old release deletes such rows: ON DELETE CASCADE or SET NULL'),
    ('constraint-renamed', 'if a statement names it: rename it in a later release'),
    ('column-default-changed', 'where the old release leaves the column out, it now writes something else'),
    ('column-scale-changed', 'if the old release compares such texts: change it in a later release'),
    ('trigger-added trigger-dropped', 'look at what it does to the old release''s writes'),
    ('policy-added policy-dropped', 'look at which rows the old release sees and writes')
),
hinted AS (
    SELECT x.*, h.hint
    FROM (SELECT 1 AS rank, * FROM finding UNION ALL SELECT 2, * FROM warning) x
    LEFT JOIN hint h ON x.code = ANY (string_to_array(h.codes, ' '))
),
-- Texts of the databases are shown: short, and without control characters.
shown AS (
    SELECT rank, code, left(regexp_replace(object, '[\x01-\x1f\x7f-\x9f]+', ' ', 'g'), 200) AS object,
           left(regexp_replace(message, '[\x01-\x1f\x7f-\x9f]+', ' ', 'g'), 400) AS message, coalesce(hint, '') AS hint
    FROM hinted
),
no_answer (reason) AS (
    SELECT format('the %s database has no schema %I', side, :'schema') FROM side WHERE NOT (doc -> 'exists')::bool
    UNION ALL
    SELECT format('the old database has nothing in the schema %I', :'schema')
    FROM side WHERE side = 'old' AND (doc -> 'exists')::bool AND doc -> 'relations' = 'null'
    UNION ALL
    SELECT format('schema_version of the %s database does not have one row with two numbers', side)
    FROM side
    WHERE doc -> 'declared' <> 'null' AND (jsonb_array_length(doc -> 'declared') <> 1
        OR jsonb_typeof(doc #> '{declared,0,version}') <> 'number' OR jsonb_typeof(doc #> '{declared,0,works_for}') <> 'number')
),
result AS (
    SELECT CASE WHEN EXISTS (SELECT FROM finding) THEN 'incompatible' ELSE 'compatible' END AS verdict,
           (SELECT count(*) FROM finding) AS findings,
           (SELECT min(reason) FROM no_answer) AS no_answer
)
SELECT coalesce('no answer: ' || no_answer, verdict) AS verdict,
       json_build_object(
           'schema', 'schema-compat-v1',
           'verdict', verdict,
           'old', jsonb_strip_nulls(jsonb_build_object(
               'server_version', split_part(coalesce(nullif(:'old_server', ''), :'old'::jsonb ->> 'server_version'), ' ', 1),
               'schema_version', :'old'::jsonb #> '{declared,0,version}')),
           'new', jsonb_strip_nulls(jsonb_build_object(
               'server_version', split_part(coalesce(:'new'::jsonb ->> 'server_version', current_setting('server_version')), ' ', 1),
               'schema_version', :'new'::jsonb #> '{declared,0,version}')),
           'findings', (SELECT coalesce(json_agg(json_build_object('code', code, 'object', object, 'message', message, 'hint', hint)
                                                 ORDER BY object, code, message), '[]') FROM shown WHERE rank = 1),
           'warnings', (SELECT coalesce(json_agg(json_build_object('code', code, 'object', object, 'message', message, 'hint', hint)
                                                 ORDER BY object, code, message), '[]') FROM shown WHERE rank = 2)) AS document,
       upper(verdict) || CASE findings WHEN 0 THEN '' WHEN 1 THEN ' 1 finding' ELSE format(' %s findings', findings) END
           || coalesce((SELECT string_agg(format(E'\n%s%s %s: %s; hint: %s', CASE rank WHEN 2 THEN 'warning: ' ELSE '' END,
                                                 code, object, message, hint), '' ORDER BY rank, object, code, message) FROM shown), '')
           AS lines
FROM result \gset
COMMIT;
\echo :verdict
\if :json
\echo :document
\else
\echo :lines
\endif
