-- What each affiliate cost and earned on each day: Everflow's figures, and RedTrack's spend for the agency's own
-- affiliates.
-- Grain: client, date, advertiser, affiliate label (trimmed). Spend of sources that the mapping does not place, under a
-- label and an advertiser, stands under the label (unmapped), so that a day's redtrack_cost always adds up to RedTrack's
-- own total, also of what a report of one advertiser shows.
WITH mapping AS (
  SELECT
    _client_id,
    redtrack_source_id,
    CASE WHEN everflow_advertiser_id <> 0 THEN NULLIF(trimmed(everflow_affiliate_label), '') END AS affiliate_label,
    COALESCE(everflow_advertiser_id, 0) AS advertiser_id,
    everflow_advertiser_label AS advertiser_label
  FROM public.affiliate_mapping
),

spend AS (
  SELECT
    s._client_id,
    s.date,
    COALESCE(m.advertiser_id, 0) AS advertiser_id,
    COALESCE(m.affiliate_label, '(unmapped)') AS affiliate_label,
    MAX(bytewise(m.advertiser_label)) AS advertiser_label,
    SUM(s.clicks) AS clicks,
    SUM(s.cost) AS cost
  FROM redtrack.daily_spend AS s
  LEFT JOIN mapping AS m ON m._client_id = s._client_id AND m.redtrack_source_id = s.source_id
  GROUP BY 1, 2, 3, 4
),

earned AS (
  SELECT
    _client_id,
    date,
    advertiser_id,
    COALESCE(NULLIF(trimmed(affiliate_label), ''), '(none)') AS affiliate_label,
    MAX(bytewise(advertiser_label)) AS advertiser_label,
    SUM(clicks) AS clicks,
    SUM(conversions) AS conversions,
    SUM(revenue) AS revenue,
    SUM(payout) AS payout
  FROM everflow.daily_stats
  GROUP BY 1, 2, 3, 4
),

internal AS (
  SELECT DISTINCT _client_id, advertiser_id, affiliate_label FROM mapping WHERE affiliate_label IS NOT NULL
),

joined AS (
  SELECT
    COALESCE(e._client_id, s._client_id) AS _client_id,
    COALESCE(e.date, s.date) AS date,
    COALESCE(e.advertiser_id, s.advertiser_id) AS advertiser_id,
    COALESCE(e.advertiser_label, s.advertiser_label) AS advertiser_label,
    COALESCE(e.affiliate_label, s.affiliate_label) AS affiliate_label,
    COALESCE(e.clicks, 0) AS clicks,
    COALESCE(e.conversions, 0) AS conversions,
    COALESCE(e.revenue, 0) AS everflow_revenue,
    COALESCE(e.payout, 0) AS everflow_payout,
    COALESCE(s.clicks, 0) AS redtrack_clicks,
    COALESCE(s.cost, 0) AS redtrack_cost
  FROM earned AS e
  FULL JOIN spend AS s
    ON s._client_id = e._client_id
    AND s.date = e.date
    AND s.advertiser_id = e.advertiser_id
    AND s.affiliate_label = e.affiliate_label
),

costed AS (
  SELECT
    j.*,
    i._client_id IS NOT NULL OR j.affiliate_label = '(unmapped)' AS is_internal,
    CASE
      WHEN i._client_id IS NOT NULL OR j.affiliate_label = '(unmapped)' THEN j.redtrack_cost
      ELSE j.everflow_payout
    END AS cost
  FROM joined AS j
  LEFT JOIN internal AS i
    ON i._client_id = j._client_id
    AND i.advertiser_id = j.advertiser_id
    AND i.affiliate_label = j.affiliate_label
)

SELECT
  _client_id,                                                          -- the client
  date,                                                                -- day in the client's time zone
  advertiser_id,                                                       -- Everflow's advertiser; 0 when unknown
  advertiser_label,                                                    -- its name
  affiliate_label,                                                     -- Everflow's affiliate, trimmed, or (unmapped)
  CAST(clicks AS BIGINT) AS clicks,                                    -- clicks that Everflow counts
  CAST(conversions AS BIGINT) AS conversions,                          -- conversions that Everflow counts
  as_money(everflow_revenue) AS everflow_revenue,                      -- what the advertiser pays
  as_money(everflow_payout) AS everflow_payout,                        -- what the affiliate is paid
  CAST(redtrack_clicks AS BIGINT) AS redtrack_clicks,                  -- clicks that RedTrack counts
  as_money(redtrack_cost) AS redtrack_cost,                            -- what the channels cost
  is_internal,                                                         -- the agency's own affiliate
  as_money(cost) AS cost,                                              -- spend of internal affiliates, payout of others
  as_money(everflow_revenue - cost) AS profit,                         -- revenue less cost
  safe_ratio(cost, conversions) AS cpa,                                -- cost per conversion; NULL without conversions
  safe_ratio(everflow_revenue, cost) AS roas                           -- revenue per dollar of cost; NULL without cost
FROM costed
