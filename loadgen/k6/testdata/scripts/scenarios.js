// Two kinds of visitors at once, each with a function, an environment and tags of its own.
import http from 'k6/http';
import exec from 'k6/execution';
import { check } from 'k6';

export const options = {
  scenarios: {
    browse: { executor: 'per-vu-iterations', vus: 1, iterations: 4, exec: 'browse', env: { WHAT: 'lamp' }, tags: { kind: 'b' } },
    buy: { executor: 'per-vu-iterations', vus: 1, iterations: 4, exec: 'buy', env: { WHAT: 'camel' }, gracefulStop: '1s' },
  },
};

export function browse() {
  http.get(`${__ENV.HTTP}/${__ENV.WHAT}`);
  check(null, { browsing: () => exec.scenario.name === 'browse' && exec.vu.metrics.tags.kind === 'b' });
}

export function buy() {
  http.post(`${__ENV.HTTP}/${__ENV.WHAT}`);
  check(null, { buying: () => exec.scenario.name === 'buy' && exec.vu.metrics.tags.kind === undefined });
}
