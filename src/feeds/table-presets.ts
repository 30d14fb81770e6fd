/** All presets for tables, the narrower before the wider: the first that knows a header is taken. Pure. */
import { AMAZON_OFFERS } from './presets/amazon-offers.ts';
import { EXCEL_DE } from './presets/excel-de.ts';
import { GOOGLE_MERCHANT } from './presets/google-merchant.ts';
import { MAGENTO2 } from './presets/magento2.ts';
import { PLAIN } from './presets/plain.ts';
import { SHOPIFY_INVENTORY, SHOPIFY_PRODUCTS } from './presets/shopify.ts';
import { WOOCOMMERCE } from './presets/woocommerce.ts';
import type { TablePreset } from './table-preset.ts';

export const TABLE_PRESETS: readonly TablePreset[] = [
  SHOPIFY_INVENTORY,
  SHOPIFY_PRODUCTS,
  WOOCOMMERCE,
  MAGENTO2,
  AMAZON_OFFERS,
  GOOGLE_MERCHANT,
  PLAIN,
  EXCEL_DE,
];
