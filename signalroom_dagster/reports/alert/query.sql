-- Affiliates that cost money without bringing anything, or too much for what they brought. Says nothing when none did.
-- Parameters: advertiser_id (all), min_cost (50: spend without conversions), max_cpa (none).

-- name: offenders
SELECT
  affiliate_label,
  CAST(SUM(conversions) AS BIGINT) AS conversions,
  as_money(SUM(cost)) AS cost,
  safe_ratio(SUM(cost), SUM(conversions)) AS cpa
FROM public.daily_performance
WHERE date = CAST(:date AS DATE)
  AND (CAST(:advertiser_id AS BIGINT) IS NULL OR advertiser_id = CAST(:advertiser_id AS BIGINT)
    OR affiliate_label = '(unmapped)')
GROUP BY affiliate_label
HAVING (SUM(conversions) = 0 AND SUM(cost) >= COALESCE(CAST(:min_cost AS NUMERIC(18, 4)), 50))
  OR (SUM(conversions) > 0 AND SUM(cost) > CAST(:max_cpa AS NUMERIC(18, 4)) * SUM(conversions))
ORDER BY SUM(cost) DESC, bytewise(affiliate_label)
LIMIT 20
