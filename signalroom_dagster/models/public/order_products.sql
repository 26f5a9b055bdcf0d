-- The products of each order: exports may have a row for each, all with the same order and its total.
-- Grain: client, order, product. Amounts of a whole order stand in public.orders, once. What is the newest export is
-- decided as there; a product that the order's newest export does not name stays, with is_current false.
WITH told AS (
  SELECT
    _client_id, _file_name, _file_date, _row_id, _loaded_at, orders_id, products_id, product_name, product_sku,
    product_category, product_price, products_quantity,
    1 AS newness
  FROM s3_exports.orders_create
  UNION ALL
  SELECT
    _client_id, _file_name, _file_date, _row_id, _loaded_at, orders_id, products_id, product_name, product_sku,
    product_category, product_price, products_quantity,
    2 AS newness
  FROM s3_exports.orders_update
),

named AS (
  SELECT t.*, f.last_modified, as_integer(t.orders_id) AS order_number, as_integer(t.products_id) AS product_number
  FROM told AS t
  LEFT JOIN s3_exports.files AS f ON f._client_id = t._client_id AND f._file_name = t._file_name
  WHERE as_integer(t.orders_id) IS NOT NULL AND as_integer(t.products_id) IS NOT NULL
),

placed AS (
  SELECT
    *,
    ROW_NUMBER() OVER (
      PARTITION BY _client_id, order_number, product_number
      ORDER BY _file_date DESC, newness DESC, last_modified DESC NULLS LAST, bytewise(_file_name) DESC, _row_id DESC
    ) AS place,
    _file_name = FIRST_VALUE(_file_name) OVER (
      PARTITION BY _client_id, order_number
      ORDER BY _file_date DESC, newness DESC, last_modified DESC NULLS LAST, bytewise(_file_name) DESC, _row_id DESC
    ) AS is_newest
  FROM named
),

newest AS (
  SELECT
    _client_id,
    order_number,
    product_number,
    newest_of(product_name, place) AS product_name,
    newest_of(product_sku, place) AS product_sku,
    newest_of(product_category, place) AS product_category,
    newest_of(present(product_price), place) AS product_price,
    newest_of(products_quantity, place) AS products_quantity,
    MAX(CASE WHEN is_newest THEN 1 ELSE 0 END) AS is_current,
    MAX(_file_name) FILTER (WHERE place = 1) AS _file_name,
    MAX(_file_date) FILTER (WHERE place = 1) AS _file_date,
    MAX(_loaded_at) FILTER (WHERE place = 1) AS _loaded_at
  FROM placed
  GROUP BY 1, 2, 3
)

SELECT
  _client_id,                                                       -- the client
  order_number AS orders_id,                                        -- Sticky.io's order number
  product_number AS products_id,                                    -- the product
  product_name,                                                     -- its name
  product_sku,                                                      -- its number in the shop
  product_category,                                                 -- its project
  as_decimal(product_price) AS product_price,                       -- of one piece
  as_integer(products_quantity) AS quantity,                        -- pieces
  is_current = 1 AS is_current,                                     -- the order's newest export names it
  _file_name,                                                       -- where the newest word about it stands
  _file_date,                                                       -- the day of that export
  _loaded_at                                                        -- when that export was loaded (UTC)
FROM newest
