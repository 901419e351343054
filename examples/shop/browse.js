// Browsers look at the catalogue and at one product. They need the storefront and nothing behind it.
import { check, group, sleep } from 'k6';
import { alone, any, body, get, products } from './lib.js';

export const options = alone('browse', 20);

export function browse() {
  group('browse', () => {
    const catalogue = get('/', 'catalogue');
    check(catalogue, {
      'catalogue shown': (r) => r.status === 200,
      'catalogue is full': (r) => body(r).length === products,
    });
    sleep(0.02 + 0.06 * Math.random()); // a short look around

    const number = any(products);
    const product = get(`/product/${number}`, 'product');
    check(product, {
      'product shown': (r) => r.status === 200,
      'it is the right one': (r) => body(r).number === number,
    });
  });
}

export default browse;
