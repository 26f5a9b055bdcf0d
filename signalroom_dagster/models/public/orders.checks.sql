-- fail key_unique: an order is one row.
SELECT orders_id, COUNT(*) AS rows
FROM public.orders
GROUP BY 1
HAVING COUNT(*) > 1

-- fail every_order_is_there: each order number of the exports is in the table.
SELECT told.orders_id
FROM (
  SELECT orders_id FROM s3_exports.orders_create
  UNION
  SELECT orders_id FROM s3_exports.orders_update
) AS told
LEFT JOIN public.orders AS o ON o.orders_id = as_integer(told.orders_id)
WHERE o.orders_id IS NULL AND as_integer(told.orders_id) IS NOT NULL

-- warn every_cell_is_read: numbers, dates and flags are what their columns say, and no newer export lacks what was there.
-- Of the columns that the newest export lacks or leaves empty (older_columns) the older value stands in public.orders.
SELECT orders_id, unread_cells, older_columns, _file_name
FROM public.orders
WHERE unread_cells > 0 OR older_columns IS NOT NULL

-- fail every_amount_is_read: no amount of an order is text that is no number, such as 1.234,56 or $ 89.90.
-- Revenue and refunds lack the amounts of these orders: let the shop export numbers such as 1234.56.
SELECT orders_id, unread_cells, _file_name
FROM public.orders
WHERE unread_cells > 0 AND (total_amount IS NULL OR refund_amount IS NULL OR void_amount IS NULL)

-- warn no_amount_is_finer_than_a_cent: amounts have two places. 1.234 may be a thousand and more, written with a point.
SELECT orders_id, total_amount, refund_amount, void_amount, _file_name
FROM public.orders
WHERE total_amount <> ROUND(total_amount, 2) OR refund_amount <> ROUND(refund_amount, 2)
  OR void_amount <> ROUND(void_amount, 2)

-- warn orders_have_numbers: every row of the exports names its order.
SELECT _file_name, COUNT(*) AS rows
FROM (
  SELECT _file_name, orders_id FROM s3_exports.orders_create
  UNION ALL
  SELECT _file_name, orders_id FROM s3_exports.orders_update
) AS told
WHERE as_integer(orders_id) IS NULL
GROUP BY 1
