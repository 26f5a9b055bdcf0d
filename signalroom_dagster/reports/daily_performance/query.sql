-- What a day cost and earned, by affiliate and against the days before. Spend that the mapping places nowhere is
-- kept apart whatever the filter, so that it neither hides nor counts as an affiliate's.

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

-- name: overall
SELECT
  CAST(SUM(clicks) AS BIGINT) AS clicks,
  CAST(SUM(conversions) AS BIGINT) AS conversions,
  as_money(SUM(everflow_revenue)) AS revenue,
  as_money(SUM(cost)) AS cost,
  as_money(SUM(profit)) AS profit,
  safe_ratio(SUM(cost), SUM(conversions)) AS cpa,
  safe_ratio(SUM(everflow_revenue), SUM(cost)) AS roas
FROM public.daily_performance
WHERE date = CAST(:date AS DATE)
  AND affiliate_label <> '(unmapped)'
  AND (CAST(:advertiser_id AS BIGINT) IS NULL OR advertiser_id = CAST(:advertiser_id AS BIGINT))
GROUP BY date

-- name: sides
SELECT
  is_internal,
  CAST(SUM(conversions) AS BIGINT) AS conversions,
  as_money(SUM(everflow_revenue)) AS revenue,
  as_money(SUM(cost)) AS cost,
  as_money(SUM(profit)) AS profit,
  safe_ratio(SUM(cost), SUM(conversions)) AS cpa
FROM public.daily_performance
WHERE date = CAST(:date AS DATE)
  AND affiliate_label <> '(unmapped)'
  AND (CAST(:advertiser_id AS BIGINT) IS NULL OR advertiser_id = CAST(:advertiser_id AS BIGINT))
GROUP BY is_internal
ORDER BY is_internal DESC

-- name: affiliates
SELECT
  affiliate_label,
  CAST(SUM(conversions) AS BIGINT) AS conversions,
  as_money(SUM(everflow_revenue)) AS revenue,
  as_money(SUM(cost)) AS cost,
  as_money(SUM(profit)) AS profit,
  safe_ratio(SUM(cost), SUM(conversions)) AS cpa
FROM public.daily_performance
WHERE date = CAST(:date AS DATE)
  AND affiliate_label <> '(unmapped)'
  AND (CAST(:advertiser_id AS BIGINT) IS NULL OR advertiser_id = CAST(:advertiser_id AS BIGINT))
GROUP BY affiliate_label
HAVING SUM(conversions) > 0 OR SUM(cost) > 0
ORDER BY SUM(everflow_revenue) DESC, SUM(cost) DESC, bytewise(affiliate_label)
LIMIT 10

-- name: unmapped
SELECT
  as_money(SUM(redtrack_cost)) AS cost,
  CAST(SUM(redtrack_clicks) AS BIGINT) AS clicks
FROM public.daily_performance
WHERE date = CAST(:date AS DATE)
  AND affiliate_label = '(unmapped)'
GROUP BY date
