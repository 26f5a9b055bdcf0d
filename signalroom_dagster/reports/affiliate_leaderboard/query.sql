-- Affiliates by what they earned in the days up to the reported one, and where they stood in as many days before.
-- Parameters: advertiser_id (all), days (7), top (10).

-- name: affiliates
WITH spans AS (
  SELECT
    affiliate_label,
    date > CAST(:date AS DATE) - COALESCE(CAST(:days AS INT), 7) AS is_now,
    SUM(conversions) AS conversions,
    SUM(everflow_revenue) AS revenue,
    SUM(cost) AS cost,
    SUM(profit) AS profit
  FROM public.daily_performance
  WHERE date > CAST(:date AS DATE) - 2 * COALESCE(CAST(:days AS INT), 7)
    AND date <= CAST(:date AS DATE)
    AND affiliate_label <> '(unmapped)'
    AND (CAST(:advertiser_id AS BIGINT) IS NULL OR advertiser_id = CAST(:advertiser_id AS BIGINT))
  GROUP BY 1, 2
),

ranked AS (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY is_now ORDER BY profit DESC, revenue DESC, bytewise(affiliate_label)) AS place
  FROM spans
)

SELECT
  CAST(r.place AS BIGINT) AS place,
  CAST(b.place AS BIGINT) AS place_before,
  r.affiliate_label,
  CAST(r.conversions AS BIGINT) AS conversions,
  as_money(r.revenue) AS revenue,
  as_money(r.cost) AS cost,
  as_money(r.profit) AS profit,
  safe_ratio(r.cost, r.conversions) AS cpa
FROM ranked AS r
LEFT JOIN ranked AS b ON b.affiliate_label = r.affiliate_label AND NOT b.is_now
WHERE r.is_now AND r.place <= COALESCE(CAST(:top AS INT), 10)
ORDER BY r.place

-- name: unmapped
SELECT as_money(SUM(redtrack_cost)) AS cost
FROM public.daily_performance
WHERE date > CAST(:date AS DATE) - COALESCE(CAST(:days AS INT), 7)
  AND date <= CAST(:date AS DATE)
  AND affiliate_label = '(unmapped)'
HAVING SUM(redtrack_cost) > 0
