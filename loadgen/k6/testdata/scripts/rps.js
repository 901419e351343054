// Requests held back by the script's own limit.
import http from 'k6/http';
import { check } from 'k6';

export const options = { vus: 1, iterations: 4, rps: 50 };

export default function () {
  check(http.get(`${__ENV.HTTP}/`), { welcome: (a) => a.status === 200 });
}
