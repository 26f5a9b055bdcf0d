-- How each payment gateway did on each day: approvals, refunds and chargebacks by processor account.
-- Grain: client, day, gateway. Test orders count nowhere; declined attempts count as attempts only.
SELECT
  _client_id,                                                                 -- the client
  order_date AS date,                                                         -- day of the orders, in the shop's zone
  gateway_id,                                                                 -- the processor's account
  gateway_alias,                                                              -- its name
  COUNT(*) AS attempts,                                                       -- orders tried, declined ones included
  COUNT(*) FILTER (WHERE is_sale) AS sales,                                   -- orders paid
  COUNT(*) FILTER (WHERE is_sale AND rebill_depth = 0) AS first_sales,        -- of them first orders
  safe_ratio(COUNT(*) FILTER (WHERE is_sale), COUNT(*)) AS approval_rate,     -- sales per attempt
  as_money(COALESCE(SUM(total_amount) FILTER (WHERE is_sale), 0)) AS revenue, -- of the sales
  COUNT(*) FILTER (WHERE is_refunded) AS refunds,                             -- orders paid back
  as_money(COALESCE(SUM(refund_amount) FILTER (WHERE is_refunded), 0)) AS refund_amount, -- paid back
  COUNT(*) FILTER (WHERE is_chargeback) AS chargebacks                        -- orders taken back by the card's owner
FROM public.orders
WHERE NOT is_test AND order_date IS NOT NULL
GROUP BY 1, 2, 3, 4
