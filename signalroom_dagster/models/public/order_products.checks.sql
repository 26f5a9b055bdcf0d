-- fail key_unique: an order and a product are one row.
SELECT orders_id, products_id, COUNT(*) AS rows
FROM public.order_products
GROUP BY 1, 2
HAVING COUNT(*) > 1

-- fail every_product_has_its_order: each order of a product is in public.orders.
SELECT p.orders_id, p.products_id
FROM public.order_products AS p
LEFT JOIN public.orders AS o ON o._client_id = p._client_id AND o.orders_id = p.orders_id
WHERE o.orders_id IS NULL

-- warn each_product_once: an export names a product of an order in one row, so that its quantity is no part of it.
SELECT p._file_name, p.orders_id, p.products_id, COUNT(*) AS rows
FROM public.order_products AS p
JOIN (
  SELECT _client_id, _file_name, orders_id, products_id FROM s3_exports.orders_create
  UNION ALL
  SELECT _client_id, _file_name, orders_id, products_id FROM s3_exports.orders_update
) AS told
  ON told._client_id = p._client_id
  AND told._file_name = p._file_name
  AND as_integer(told.orders_id) = p.orders_id
  AND as_integer(told.products_id) = p.products_id
GROUP BY 1, 2, 3
HAVING COUNT(*) > 1

-- warn every_price_is_read: no price of a product is text that is no number, such as 49,90.
SELECT _file_name, COUNT(*) AS rows
FROM (
  SELECT _file_name, product_price FROM s3_exports.orders_create
  UNION ALL
  SELECT _file_name, product_price FROM s3_exports.orders_update
) AS told
WHERE is_unread(product_price, as_decimal(product_price)) = 1
GROUP BY 1
