-- Keeps the newest $2 entries of view $1.
DELETE FROM pgprime.view_refreshes
WHERE view = $1
  AND id <= (SELECT id FROM pgprime.view_refreshes WHERE view = $1 ORDER BY id DESC OFFSET $2 LIMIT 1)
