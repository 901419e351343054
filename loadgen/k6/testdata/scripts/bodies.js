// Bodies: thrown away by default here, kept where a request says so, as text and as bytes.
import http from 'k6/http';
import { check } from 'k6';

export const options = { vus: 2, iterations: 6, discardResponseBodies: true };

export default function () {
  const none = http.get(`${__ENV.HTTP}/`);
  const text = http.get(`${__ENV.HTTP}/`, { responseType: 'text' });
  const bytes = http.get(`${__ENV.HTTP}/`, { responseType: 'binary' });
  const json = http.post(`${__ENV.HTTP}/echo`, 'x', { responseType: 'text' });
  check(null, {
    none: () => none.body === null,
    text: () => text.body === 'welcome',
    bytes: () => new Uint8Array(bytes.body).length === 7,
    json: () => json.json().method === 'POST' && json.json('headers.Content-Length.0') === '1',
  });
}
