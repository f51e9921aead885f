-- Foreign keys: what a change of the referenced table does to the one that refers to it.
SELECT /* pgprime */ confrelid AS referenced, conrelid AS referring, confdeltype::text AS on_delete, confupdtype::text AS on_update
FROM pg_constraint
WHERE contype = 'f'
ORDER BY 1, 2
