-- How much of what was sold came back, by affiliate and campaign: refunds, voids and chargebacks of all sales so far.
-- Grain: client, affiliate, campaign, project. Flags of the exports are YES and NO; test orders count nowhere.
SELECT
  _client_id,                                                                 -- the client
  affiliate_id,                                                               -- Everflow's affiliate; NULL on rebills
  campaign_id,                                                                -- Sticky.io's campaign
  product_category,                                                           -- the project
  COUNT(*) AS sales,                                                          -- orders paid
  as_money(SUM(total_amount)) AS revenue,                                     -- of those
  COUNT(*) FILTER (WHERE is_refunded) AS refunds,                             -- paid back
  COUNT(*) FILTER (WHERE is_void) AS voids,                                   -- never charged
  COUNT(*) FILTER (WHERE is_chargeback) AS chargebacks,                       -- taken back by the card's owner
  as_money(SUM(refund_amount)) AS refund_amount,                              -- paid back, in money
  safe_ratio(COUNT(*) FILTER (WHERE is_refunded), COUNT(*)) AS refund_rate,   -- refunds per sale
  safe_ratio(COUNT(*) FILTER (WHERE is_chargeback), COUNT(*)) AS chargeback_rate, -- chargebacks per sale
  MIN(order_date) AS first_order_date,                                        -- from the first
  MAX(order_date) AS last_order_date                                          -- to the last order counted
FROM public.orders
WHERE is_sale
GROUP BY 1, 2, 3, 4
