-- Whether the files of a migrations folder go on from what a database says is applied, as the npm runner `postgres-migrations`
-- demands and a little stricter. :files are lines of number, name and SHA-1 (of the name and the contents, as that runner has it),
-- with tabs between; a file whose name has no number has an empty one. :applied are the rows of the runner's table, as JSON. Prints
-- the findings as one line of JSON, then the lines of the files to apply, in order. It touches no table.
\set ON_ERROR_STOP on
BEGIN TRANSACTION READ ONLY;
WITH
file AS (
    SELECT nullif(f[1], '')::numeric AS id, f[2] AS name, f[3] AS hash
    FROM string_to_table(:'files', E'\n') line, string_to_array(line, E'\t') f
    WHERE line <> ''
),
numbered AS (SELECT *, row_number() OVER (ORDER BY id, name) AS due FROM file WHERE id IS NOT NULL),
-- 0 is the runner's own: the table itself.
applied AS (
    SELECT * FROM jsonb_to_recordset(:'applied') x (id numeric, name text, hash text) WHERE id > 0
),
finding (code, object, message) AS (
    SELECT 'migration-name', name, 'the file''s name does not begin with a number' FROM file WHERE id IS NULL
    UNION ALL
    (SELECT 'migration-order', name, format('the file has the number %s where %s is due', id, due)
     FROM numbered WHERE id <> due ORDER BY due LIMIT 1)
    UNION ALL
    SELECT 'migration-order', name, format('the file is not applied, and %s is already', (SELECT max(id) FROM applied))
    FROM numbered
    WHERE id < (SELECT max(id) FROM applied) AND id NOT IN (SELECT id FROM applied)
    UNION ALL
    SELECT 'migration-edited', f.name, format('%s was applied as another file than this', a.id)
    FROM numbered f JOIN applied a ON a.id = f.id WHERE a.hash <> f.hash
    UNION ALL
    SELECT 'migration-unknown', format('%s_%s', id, name), 'is applied and has no file'
    FROM applied WHERE id NOT IN (SELECT id FROM numbered)
)
SELECT coalesce((SELECT jsonb_agg(finding) FROM finding)::text, '[]')
    || coalesce((SELECT string_agg(format(E'\n%s\t%s\t%s', id, name, hash), '' ORDER BY due) FROM numbered WHERE id NOT IN (SELECT id FROM applied)), '');
COMMIT;
