-- fail spend_in_is_spend_out: every cent that RedTrack counts on a day is in the table, and no other.
SELECT
  COALESCE(s.date, p.date) AS date,
  s.cost AS redtrack,
  p.cost AS here
FROM (SELECT _client_id, date, SUM(cost) AS cost FROM redtrack.daily_spend GROUP BY 1, 2) AS s
FULL JOIN (SELECT _client_id, date, SUM(redtrack_cost) AS cost FROM public.daily_performance GROUP BY 1, 2) AS p
  ON p._client_id = s._client_id AND p.date = s.date
WHERE COALESCE(s.cost, 0) <> COALESCE(p.cost, 0)

-- fail payout_in_is_payout_out: every cent that Everflow pays out on a day is in the table, and no other.
SELECT
  COALESCE(s.date, p.date) AS date,
  s.payout AS everflow,
  p.payout AS here
FROM (SELECT _client_id, date, SUM(payout) AS payout FROM everflow.daily_stats GROUP BY 1, 2) AS s
FULL JOIN (SELECT _client_id, date, SUM(everflow_payout) AS payout FROM public.daily_performance GROUP BY 1, 2) AS p
  ON p._client_id = s._client_id AND p.date = s.date
WHERE COALESCE(s.payout, 0) <> COALESCE(p.payout, 0)

-- fail key_unique: a day, advertiser and affiliate label name one row.
SELECT date, advertiser_id, affiliate_label, COUNT(*) AS rows
FROM public.daily_performance
GROUP BY 1, 2, 3
HAVING COUNT(*) > 1

-- fail no_negative_cost: nothing costs less than nothing.
SELECT date, advertiser_id, affiliate_label, cost
FROM public.daily_performance
WHERE cost < 0

-- fail cpa_is_cost_by_conversions: the cost per conversion is the cost by the conversions.
SELECT date, advertiser_id, affiliate_label, cost, conversions, cpa
FROM public.daily_performance
WHERE cpa IS DISTINCT FROM safe_ratio(cost, conversions)

-- warn spend_without_conversions: the last week's spend of an affiliate brought something.
SELECT advertiser_id, affiliate_label, SUM(cost) AS cost
FROM public.daily_performance
WHERE date > (SELECT MAX(date) FROM public.daily_performance) - 7 AND affiliate_label <> '(unmapped)'
GROUP BY 1, 2
HAVING SUM(cost) > 0 AND SUM(conversions) = 0

-- warn unmapped_spend: the mapping places all of the last week's spend.
SELECT date, SUM(redtrack_cost) AS cost
FROM public.daily_performance
WHERE date > (SELECT MAX(date) FROM public.daily_performance) - 7 AND affiliate_label = '(unmapped)'
GROUP BY 1
HAVING SUM(redtrack_cost) > 0

-- warn volume_as_usual: the last finished day's clicks are within five deviations of the same weekdays before it.
-- The newest day may go on still, so it is the day before it that is looked at: also one of which there is nothing.
WITH days AS (
  SELECT date, SUM(clicks) AS clicks FROM public.daily_performance GROUP BY 1
),

looked_at AS (
  SELECT MAX(date) - 1 AS date FROM days
),

usual AS (
  SELECT d.clicks
  FROM days AS d
  CROSS JOIN looked_at AS l
  WHERE d.date < l.date AND d.date >= l.date - 56 AND EXTRACT(DOW FROM d.date) = EXTRACT(DOW FROM l.date)
),

middle AS (
  SELECT COUNT(*) AS weeks, PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY clicks) AS clicks FROM usual
),

spread AS (
  SELECT PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY ABS(u.clicks - m.clicks)) AS clicks
  FROM usual AS u
  CROSS JOIN middle AS m
)

SELECT l.date, COALESCE(d.clicks, 0) AS clicks, m.clicks AS usual, s.clicks AS deviation
FROM looked_at AS l
LEFT JOIN days AS d ON d.date = l.date
CROSS JOIN middle AS m
CROSS JOIN spread AS s
WHERE m.weeks >= 4 AND ABS(COALESCE(d.clicks, 0) - m.clicks) > GREATEST(5 * s.clicks, 0.3 * m.clicks)
