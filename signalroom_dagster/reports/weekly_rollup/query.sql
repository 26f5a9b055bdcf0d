-- The seven days up to the reported one, against the seven before them.

-- name: days
SELECT
  date,
  CAST(SUM(conversions) AS BIGINT) AS conversions,
  CAST(SUM(everflow_revenue) AS NUMERIC(18, 4)) AS revenue,
  CAST(SUM(cost) AS NUMERIC(18, 4)) AS cost,
  CAST(SUM(profit) AS NUMERIC(18, 4)) AS profit,
  safe_ratio(SUM(cost), SUM(conversions)) AS cpa,
  safe_ratio(SUM(everflow_revenue), SUM(cost)) AS roas
FROM public.daily_performance
WHERE date BETWEEN CAST(:date AS DATE) - 13 AND CAST(:date AS DATE)
  AND affiliate_label <> '(unmapped)'
  AND (CAST(:advertiser_id AS BIGINT) IS NULL OR advertiser_id = CAST(:advertiser_id AS BIGINT))
GROUP BY date
ORDER BY date

-- name: unmapped
SELECT
  date,
  CAST(SUM(redtrack_cost) AS NUMERIC(18, 4)) AS cost
FROM public.daily_performance
WHERE date BETWEEN CAST(:date AS DATE) - 6 AND CAST(:date AS DATE)
  AND affiliate_label = '(unmapped)'
GROUP BY date
HAVING SUM(redtrack_cost) > 0
