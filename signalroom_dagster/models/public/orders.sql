-- Each order as it stands now: the newest word about it from the exports of orders made and orders changed, typed.
-- Grain: client, order, also where an export has a row for each product of one: those are public.order_products.
-- An export is newer by the day in its name, then as one of orders changed, then by when it was written; of its rows of
-- an order the last counts. A column that the newest export lacks or leaves empty has the newest value that there is:
-- older_columns names those that matter. Of an amount any row of the order counts that has one.
-- Text that cannot be what its column says is NULL here, counted in unread_cells, and stays as it is in s3_exports.
-- is_test marks orders paid with a test card, which no figure should count; declined attempts are orders too.
WITH told AS (
  SELECT
    _client_id, _file_name, _file_date, _row_id, _loaded_at, orders_id, order_status, order_date, order_time,
    campaign_id, customers_id, gateway_id, gateway_alias, orig_gateway, affid, c1, click_id, offer_id, products_id,
    product_name, product_category, products_quantity, billing_state, billing_country, total_amount, tax_amount,
    shipping_price, refund_flag, refund_amount, refund_date, void_flag, void_amount, void_date, chargeback_flag,
    chargeback_date, fraud_flag, return_flag, rma_flag, cancelled_flag, blacklisted_flag, cascade_flag, is_recurring,
    recurring_date, rebill_depth, parent_order_id, ancestor_id, decline_reason, is_test_cc, acquisition_date,
    transaction_id,
    1 AS newness
  FROM s3_exports.orders_create
  UNION ALL
  SELECT
    _client_id, _file_name, _file_date, _row_id, _loaded_at, orders_id, order_status, order_date, order_time,
    campaign_id, customers_id, gateway_id, gateway_alias, orig_gateway, affid, c1, click_id, offer_id, products_id,
    product_name, product_category, products_quantity, billing_state, billing_country, total_amount, tax_amount,
    shipping_price, refund_flag, refund_amount, refund_date, void_flag, void_amount, void_date, chargeback_flag,
    chargeback_date, fraud_flag, return_flag, rma_flag, cancelled_flag, blacklisted_flag, cascade_flag, is_recurring,
    recurring_date, rebill_depth, parent_order_id, ancestor_id, decline_reason, is_test_cc, acquisition_date,
    transaction_id,
    2 AS newness
  FROM s3_exports.orders_update
),

placed AS (
  SELECT
    t.*,
    as_integer(t.orders_id) AS order_number,
    ROW_NUMBER() OVER newest_first AS place,
    CASE
      WHEN LAG(t._file_name) OVER newest_first IS DISTINCT FROM t._file_name THEN ROW_NUMBER() OVER newest_first
    END AS place_of_export,
    t._file_name = FIRST_VALUE(t._file_name) OVER newest_first AS is_newest
  FROM told AS t
  LEFT JOIN s3_exports.files AS f ON f._client_id = t._client_id AND f._file_name = t._file_name
  WHERE as_integer(t.orders_id) IS NOT NULL
  WINDOW newest_first AS (
    PARTITION BY t._client_id, as_integer(t.orders_id)
    ORDER BY
      t._file_date DESC, t.newness DESC, f.last_modified DESC NULLS LAST, bytewise(t._file_name) DESC, t._row_id DESC
  )
),

newest AS (
  SELECT
    _client_id,
    order_number,
    newest_of(order_status, place_of_export) AS order_status,
    newest_of(order_date, place_of_export) AS order_date,
    newest_of(order_time, place_of_export) AS order_time,
    newest_of(campaign_id, place_of_export) AS campaign_id,
    newest_of(customers_id, place_of_export) AS customers_id,
    newest_of(gateway_id, place_of_export) AS gateway_id,
    newest_of(gateway_alias, place_of_export) AS gateway_alias,
    newest_of(orig_gateway, place_of_export) AS orig_gateway,
    newest_of(affid, place_of_export) AS affid,
    newest_of(c1, place_of_export) AS c1,
    newest_of(click_id, place_of_export) AS click_id,
    newest_of(offer_id, place_of_export) AS offer_id,
    newest_of(products_id, place_of_export) AS products_id,
    newest_of(product_name, place_of_export) AS product_name,
    newest_of(product_category, place_of_export) AS product_category,
    newest_of(products_quantity, place_of_export) AS products_quantity,
    newest_of(billing_state, place_of_export) AS billing_state,
    newest_of(billing_country, place_of_export) AS billing_country,
    newest_of(present(total_amount), place) AS total_amount,
    newest_of(present(tax_amount), place) AS tax_amount,
    newest_of(present(shipping_price), place) AS shipping_price,
    newest_of(refund_flag, place_of_export) AS refund_flag,
    newest_of(present(refund_amount), place) AS refund_amount,
    newest_of(refund_date, place_of_export) AS refund_date,
    newest_of(void_flag, place_of_export) AS void_flag,
    newest_of(present(void_amount), place) AS void_amount,
    newest_of(void_date, place_of_export) AS void_date,
    newest_of(chargeback_flag, place_of_export) AS chargeback_flag,
    newest_of(chargeback_date, place_of_export) AS chargeback_date,
    newest_of(fraud_flag, place_of_export) AS fraud_flag,
    newest_of(return_flag, place_of_export) AS return_flag,
    newest_of(rma_flag, place_of_export) AS rma_flag,
    newest_of(cancelled_flag, place_of_export) AS cancelled_flag,
    newest_of(blacklisted_flag, place_of_export) AS blacklisted_flag,
    newest_of(cascade_flag, place_of_export) AS cascade_flag,
    newest_of(is_recurring, place_of_export) AS is_recurring,
    newest_of(recurring_date, place_of_export) AS recurring_date,
    newest_of(rebill_depth, place_of_export) AS rebill_depth,
    newest_of(parent_order_id, place_of_export) AS parent_order_id,
    newest_of(ancestor_id, place_of_export) AS ancestor_id,
    newest_of(decline_reason, place_of_export) AS decline_reason,
    newest_of(is_test_cc, place_of_export) AS is_test_cc,
    newest_of(acquisition_date, place_of_export) AS acquisition_date,
    MAX(decline_reason) FILTER (WHERE place = 1) AS newest_decline_reason,
    MAX(_file_name) FILTER (WHERE place = 1) AS _file_name,
    MAX(_file_date) FILTER (WHERE place = 1) AS _file_date,
    MAX(_loaded_at) FILTER (WHERE place = 1) AS _loaded_at,
    CONCAT_WS(
      ', ',
      older_name(order_status, is_newest, 'order_status'),
      older_name(order_date, is_newest, 'order_date'),
      older_name(present(total_amount), is_newest, 'total_amount'),
      older_name(present(tax_amount), is_newest, 'tax_amount'),
      older_name(present(shipping_price), is_newest, 'shipping_price'),
      older_name(present(refund_amount), is_newest, 'refund_amount'),
      older_name(present(void_amount), is_newest, 'void_amount'),
      older_name(refund_flag, is_newest, 'refund_flag'),
      older_name(void_flag, is_newest, 'void_flag'),
      older_name(chargeback_flag, is_newest, 'chargeback_flag'),
      older_name(is_test_cc, is_newest, 'is_test_cc'),
      older_name(is_recurring, is_newest, 'is_recurring'),
      older_name(rebill_depth, is_newest, 'rebill_depth'),
      older_name(campaign_id, is_newest, 'campaign_id'),
      older_name(gateway_id, is_newest, 'gateway_id'),
      older_name(affid, is_newest, 'affid'),
      older_name(products_id, is_newest, 'products_id'),
      older_name(product_category, is_newest, 'product_category')
    ) AS older_columns
  FROM placed
  GROUP BY 1, 2
)

SELECT
  _client_id,                                                       -- the client
  order_number AS orders_id,                                        -- Sticky.io's order number
  capitals(trimmed(order_status)) AS order_status,                  -- NEW, DECLINED, VOID/REFUNDED, ...
  as_day(order_date) AS order_date,                                 -- day of the order, in the shop's zone
  order_time,                                                       -- time of the order, as exported
  as_integer(campaign_id) AS campaign_id,                           -- Sticky.io's campaign
  NULLIF(as_integer(customers_id), 0) AS customers_id,              -- NULL without a customer record
  as_integer(gateway_id) AS gateway_id,                             -- the processor's account that was charged
  gateway_alias,                                                    -- its name
  as_integer(orig_gateway) AS original_gateway_id,                  -- the account tried before a cascade
  as_integer(affid) AS affiliate_id,                                -- the affiliate, as handed over by the link
  c1 AS redtrack_click_id,                                          -- RedTrack's click
  click_id AS everflow_transaction_id,                              -- Everflow's click; NULL on rebills
  as_integer(offer_id) AS offer_id,                                 -- Sticky.io's offer
  as_integer(products_id) AS products_id,                           -- the product
  product_name,                                                     -- its name
  product_category,                                                 -- its project
  as_integer(products_quantity) AS quantity,                        -- pieces
  billing_state,                                                    -- two letters
  billing_country,                                                  -- full name
  as_decimal(total_amount) AS total_amount,                         -- order total
  as_decimal(tax_amount) AS tax_amount,                             -- of it tax
  as_decimal(shipping_price) AS shipping_price,                     -- of it shipping
  as_money(
    CASE WHEN present(refund_amount) IS NULL THEN 0 ELSE as_decimal(refund_amount) END
  ) AS refund_amount,                                               -- paid back; NULL where that cannot be read
  as_money(
    CASE WHEN present(void_amount) IS NULL THEN 0 ELSE as_decimal(void_amount) END
  ) AS void_amount,                                                 -- never charged; NULL where that cannot be read
  COALESCE(as_flag(refund_flag), FALSE) AS is_refunded,             -- money went back
  as_day(refund_date) AS refund_date,                               -- when
  COALESCE(as_flag(void_flag), FALSE) AS is_void,                   -- cancelled before it was settled
  as_day(void_date) AS void_date,                                   -- when
  COALESCE(as_flag(chargeback_flag), FALSE) AS is_chargeback,       -- the card's owner took the money back
  as_day(chargeback_date) AS chargeback_date,                       -- when
  COALESCE(as_flag(fraud_flag), FALSE) AS is_fraud,                 -- marked as fraud
  COALESCE(as_flag(return_flag), FALSE) AS is_returned,             -- goods came back
  COALESCE(as_flag(rma_flag), FALSE) AS is_rma,                     -- a return was agreed
  COALESCE(as_flag(cancelled_flag), FALSE) AS is_cancelled,         -- the subscription was stopped
  COALESCE(as_flag(blacklisted_flag), FALSE) AS is_blacklisted,     -- the customer is barred
  COALESCE(as_flag(cascade_flag), FALSE) AS is_cascade,             -- tried again on another account
  COALESCE(as_flag(is_recurring), FALSE) AS is_recurring,           -- the subscription runs
  as_day(recurring_date) AS recurring_date,                         -- next billing
  COALESCE(as_integer(rebill_depth), 0) AS rebill_depth,            -- 0: first order of a subscription
  NULLIF(as_integer(parent_order_id), 0) AS parent_order_id,        -- the order before
  NULLIF(as_integer(ancestor_id), 0) AS ancestor_order_id,          -- the first of the chain
  REGEXP_REPLACE(
    CASE WHEN capitals(trimmed(order_status)) = 'DECLINED' THEN decline_reason ELSE newest_decline_reason END,
    ' *REFID:[0-9]*',
    ''
  ) AS decline_reason,                                              -- without the number that is never the same
  COALESCE(as_flag(is_test_cc), FALSE) AS is_test,                  -- paid with a test card
  COALESCE(capitals(trimmed(order_status)) <> 'DECLINED', FALSE)
  AND NOT COALESCE(as_flag(is_test_cc), FALSE) AS is_sale,          -- counts as revenue; not without a status
  as_day(acquisition_date) AS acquisition_date,                     -- the customer's first order
  _file_name,                                                       -- where the newest word about it stands
  _file_date,                                                       -- the day of that export
  _loaded_at,                                                       -- when that export was loaded (UTC)
  CAST(
    is_unread(total_amount, as_decimal(total_amount)) + is_unread(tax_amount, as_decimal(tax_amount))
    + is_unread(shipping_price, as_decimal(shipping_price)) + is_unread(refund_amount, as_decimal(refund_amount))
    + is_unread(void_amount, as_decimal(void_amount)) + is_unread(order_date, as_day(order_date))
    + is_unread(refund_date, as_day(refund_date)) + is_unread(void_date, as_day(void_date))
    + is_unread(chargeback_date, as_day(chargeback_date)) + is_unread(recurring_date, as_day(recurring_date))
    + is_unread(acquisition_date, as_day(acquisition_date)) + is_unread(refund_flag, as_flag(refund_flag))
    + is_unread(void_flag, as_flag(void_flag)) + is_unread(chargeback_flag, as_flag(chargeback_flag))
    + is_unread(fraud_flag, as_flag(fraud_flag)) + is_unread(return_flag, as_flag(return_flag))
    + is_unread(rma_flag, as_flag(rma_flag)) + is_unread(cancelled_flag, as_flag(cancelled_flag))
    + is_unread(blacklisted_flag, as_flag(blacklisted_flag)) + is_unread(cascade_flag, as_flag(cascade_flag))
    + is_unread(is_recurring, as_flag(is_recurring)) + is_unread(is_test_cc, as_flag(is_test_cc))
    + is_unread(campaign_id, as_integer(campaign_id)) + is_unread(customers_id, as_integer(customers_id))
    + is_unread(gateway_id, as_integer(gateway_id)) + is_unread(orig_gateway, as_integer(orig_gateway))
    + is_unread(affid, as_integer(affid)) + is_unread(offer_id, as_integer(offer_id))
    + is_unread(products_id, as_integer(products_id)) + is_unread(products_quantity, as_integer(products_quantity))
    + is_unread(rebill_depth, as_integer(rebill_depth)) + is_unread(parent_order_id, as_integer(parent_order_id))
    + is_unread(ancestor_id, as_integer(ancestor_id))
    AS BIGINT
  ) AS unread_cells,                                                -- cells that are not what their column says
  NULLIF(older_columns, '') AS older_columns                        -- what the newest export has no value for
FROM newest
