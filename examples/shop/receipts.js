// Bookkeepers read old receipts. The storefront asks the ledger for them directly, so this traffic feels the ledger and
// does not feel payments.
import { check, group } from 'k6';
import { alone, any, body, get, oldReceipts } from './lib.js';

export const options = alone('receipts', 10);

export function receipts() {
  group('receipts', () => {
    const number = any(oldReceipts);
    const receipt = get(`/receipts/${number}`, 'receipt');
    check(receipt, {
      'receipt shown': (r) => r.status === 200,
      'it is the right one': (r) => body(r).number === number,
      'it has an amount': (r) => body(r).cents > 0,
    });
  });
}

export default receipts;
