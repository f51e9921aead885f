SELECT /* pgprime: settings; those for privileged eyes are left out by the server */
    name, coalesce(setting, '') AS setting, unit, source, context, pending_restart, vartype AS kind,
    coalesce(boot_val, '') AS built_in
FROM pg_settings
WHERE name = ANY ($1)
ORDER BY name
