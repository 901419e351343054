// Metrics of the script's own, and thresholds, which hold, do not hold, and would end the test.
import http from 'k6/http';
import { Counter, Gauge, Rate, Trend } from 'k6/metrics';
import { check } from 'k6';

export const options = {
  vus: 1, iterations: 3,
  thresholds: {
    bought: ['count>1000'],
    waited: [{ threshold: 'p(95)<100000', abortOnFail: true }],
    'http_req_duration{kind:stall}': ['max<60000'],
  },
};

const bought = new Counter('bought');
const crowd = new Gauge('crowd');
const happy = new Rate('happy');
const waited = new Trend('waited', true);

export default function () {
  const answer = http.get(`${__ENV.HTTP}/stall`, { tags: { kind: 'stall' } });
  bought.add(1, { what: 'lamp' });
  crowd.add(__ITER);
  happy.add(answer.status === 200);
  waited.add(answer.timings.duration);
  check(bought, { named: (m) => m.name === 'bought' });
}
