// A query in JSON, its answer by paths, and what is not JSON.
import http from 'k6/http';
import { check } from 'k6';

export const options = { vus: 2, iterations: 6 };

export default function () {
  const query = { query: '{ lamps { price } }', variables: { most: 3 } };
  const answer = http.post(`${__ENV.HTTP}/echo`, JSON.stringify(query), { headers: { 'Content-Type': 'application/json' } });
  let error = '';
  try {
    http.get(`${__ENV.HTTP}/`).json();
  } catch (e) {
    error = String(e);
  }
  check(answer, {
    whole: (a) => JSON.parse(a.json().body).variables.most === 3,
    path: (a) => a.json('headers.Content-Type.0') === 'application/json' && a.json('no.such') === undefined,
    'not json': () => error !== '',
    headers: (a) => a.headers['Content-Type'] === 'application/json',
  });
}
