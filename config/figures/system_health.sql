-- The database at the last refresh of the view.
SELECT metric, label, value
FROM admin.system_health
ORDER BY metric, label
