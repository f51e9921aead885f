SELECT coalesce((extract(epoch FROM stats_reset) * 1000000)::int8, 0) AS reset_micros
FROM pg_stat_database
WHERE datname = current_database()
