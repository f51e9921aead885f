SELECT /* pgprime: what this database, all roles, or one of them has instead */
    lower(split_part(entry, '=', 1)) AS name,
    substr(entry, strpos(entry, '=') + 1) AS value,
    s.setdatabase <> 0 AS in_database,
    r.rolname::text AS role
FROM pg_db_role_setting s
CROSS JOIN LATERAL unnest(s.setconfig) entry
LEFT JOIN pg_roles r ON r.oid = s.setrole
WHERE (s.setdatabase = 0 OR s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()))
    AND (s.setrole = 0 OR r.rolcanlogin)
    AND lower(split_part(entry, '=', 1)) = ANY ($1)
ORDER BY role, name
LIMIT 1000
