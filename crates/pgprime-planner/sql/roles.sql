SELECT /* pgprime: roles that may log in with a password now */
    rolname::text AS name, rolpassword AS verifier
FROM pg_authid
WHERE rolcanlogin
    AND rolpassword IS NOT NULL
    AND (rolvaliduntil IS NULL OR rolvaliduntil > now())
ORDER BY rolname
