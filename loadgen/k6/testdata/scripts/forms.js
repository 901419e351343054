// Forms and files, and every method.
import http from 'k6/http';
import { check } from 'k6';

const seal = open('./lib/seal.bin', 'b');

export const options = { vus: 2, iterations: 6 };

export default function () {
  const form = http.post(`${__ENV.HTTP}/echo`, { what: 'lamp', toppings: ['gold', 'oil'] });
  const upload = http.post(`${__ENV.HTTP}/echo`, { note: 'hello', seal: http.file(seal, 'seal.bin', 'image/seal') });
  const bytes = http.put(`${__ENV.HTTP}/echo`, new Uint8Array([115, 97, 108]).buffer);
  const methods = [
    http.patch(`${__ENV.HTTP}/echo`, 'a'), http.del(`${__ENV.HTTP}/echo`), http.options(`${__ENV.HTTP}/echo`),
    http.head(`${__ENV.HTTP}/echo`), http.request('PURGE', `${__ENV.HTTP}/echo`),
  ];
  check(form, {
    fields: (a) => a.json('form.what.0') === 'lamp' && a.json('form.toppings.#') === 2,
    files: () => upload.json('files.seal') === 'seal.bin image/seal 4' && upload.json('form.note.0') === 'hello',
    bytes: () => bytes.json('body') === 'sal',
    methods: () => methods.every((m) => m.status === 200) && methods[4].json('method') === 'PURGE',
  });
}
