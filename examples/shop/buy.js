// Buyers buy. A purchase goes through payments, which books it in the ledger; when the ledger is away, payments accepts
// it all the same and books it later. Both count as sold.
import { check, group } from 'k6';
import { alone, any, body, post, products } from './lib.js';

export const options = alone('buy', 10);

export function buy() {
  group('buy', () => {
    const sale = post('/buy', { product: any(products) }, 'buy');
    check(sale, {
      'sold': (r) => r.status === 201 || r.status === 202,
      'has an order': (r) => typeof body(r).order === 'string',
      'booked, or says so': (r) => r.status !== 201 || body(r).number > 0,
    });
  });
}

export default buy;
