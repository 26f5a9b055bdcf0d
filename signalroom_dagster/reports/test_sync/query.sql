-- Whether data arrive and reports can be sent: what there is of the reported day, and how far the sources reach.

-- name: loaded
SELECT
  COUNT(*) AS row_count,
  COUNT(DISTINCT affiliate_label) AS affiliate_count,
  MIN(date) AS first_day,
  MAX(date) AS last_day,
  COUNT(CASE WHEN date = CAST(:date AS DATE) THEN 1 END) AS rows_of_day
FROM public.daily_performance
