-- The seven days up to the reported one, against the seven before them.

-- name: days
SELECT
  date,
  CAST(SUM(conversions) AS BIGINT) AS conversions,
  as_money(SUM(everflow_revenue)) AS revenue,
  as_money(SUM(cost)) AS cost,
  as_money(SUM(profit)) AS profit,
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
  as_money(SUM(redtrack_cost)) AS cost
FROM public.daily_performance
WHERE date BETWEEN CAST(:date AS DATE) - 6 AND CAST(:date AS DATE)
  AND affiliate_label = '(unmapped)'
GROUP BY date
HAVING SUM(redtrack_cost) > 0
