// Files: as text, as bytes, shared between virtual users, and read by k6's own readers of files and CSV.
import http from 'k6/http';
import exec from 'k6/execution';
import csv from 'k6/experimental/csv';
import { open as openFile } from 'k6/experimental/fs';
import { SharedArray } from 'k6/data';
import { check } from 'k6';

const cart = JSON.parse(open('./lib/cart.json'));
const seal = new Uint8Array(open('./lib/seal.bin', 'b'));
const names = new SharedArray('names', () => open('./lib/prices.csv').trim().split('\n').slice(1));
const file = await openFile('./lib/prices.csv');
const rows = await csv.parse(file, { asObjects: true });
const lines = new csv.Parser(await openFile('./lib/prices.csv'), { skipFirstLine: true });

export const options = { vus: 2, iterations: 6 };

export default async function () {
  const row = names[exec.scenario.iterationInTest % names.length];
  const answer = http.post(`${__ENV.HTTP}/echo`, JSON.stringify(cart), { headers: { 'Content-Type': 'application/json' } });
  const { size } = await file.stat();
  const first = __ITER === 0 ? await lines.next() : { value: ['carpet', '100'] };
  check(answer, {
    text: (a) => a.json('body') === '{"sku":"lamp","count":2}',
    bytes: () => seal.length === 4 && seal[2] === 0xfe,
    shared: () => names.length === 3 && row.includes(','),
    size: () => size === 40,
    csv: () => rows.length === 3 && rows[2].name === 'camel',
    'csv, line by line': () => first.value[0] === 'carpet',
  });
}
