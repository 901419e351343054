// Exceptions: a request that may not fail, an error of the script's own, one in a promise, and fail().
import http from 'k6/http';
import { check, fail } from 'k6';

export const options = {
  throw: true,
  scenarios: {
    request: { executor: 'per-vu-iterations', vus: 1, iterations: 3, exec: 'request' },
    own: { executor: 'per-vu-iterations', vus: 1, iterations: 3, exec: 'own' },
    promised: { executor: 'per-vu-iterations', vus: 1, iterations: 3, exec: 'promised' },
    failed: { executor: 'per-vu-iterations', vus: 1, iterations: 3, exec: 'failed' },
  },
};

export function request() {
  http.get(`http://${__ENV.GONE}/`);
}

export function own() {
  http.get(`${__ENV.HTTP}/own`);
  undefined.name;
}

export async function promised() {
  const answer = await http.asyncRequest('GET', `${__ENV.HTTP}/promised`);
  throw new Error(`status ${answer.status}`);
}

export function failed() {
  if (!check(http.get(`${__ENV.HTTP}/failed`), { closed: (a) => a.status === 404 })) {
    fail('it should be closed');
  }
}
