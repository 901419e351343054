// Modules of one's own: imported, required, by a file's address, and as TypeScript.
import http from 'k6/http';
import { check } from 'k6';
import price, { table, currency } from './lib/prices.js';
import * as all from './lib/prices.js';
import { Door } from './lib/types.ts';

const legacy = require('./lib/legacy.cjs');
const rows = table(open(import.meta.resolve('./lib/prices.csv')));

export const options = { vus: 2, iterations: 6 };

export default function () {
  const answer = http.get(`${__ENV.HTTP}/${rows[1].name}`);
  check(answer, {
    imported: () => price(rows[0]).toFixed(0) === '110' && currency === 'dinar',
    'all of it': () => all.default === price && all.table === table,
    required: () => legacy.tag(rows[1]) === 'lamp: 22.00 dinar',
    typescript: () => Door.Open === 'open',
  });
}
