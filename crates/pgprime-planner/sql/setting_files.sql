SELECT /* pgprime: what the configuration files say; the last line about a setting counts */
    DISTINCT ON (lower(name)) lower(name) AS name, setting AS value
FROM pg_file_settings
WHERE applied AND lower(name) = ANY ($1)
ORDER BY lower(name), seqno DESC
