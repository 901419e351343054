// What setup makes for all iterations, and teardown clears away.
import http from 'k6/http';
import { check, sleep } from 'k6';

export const options = { vus: 2, iterations: 6, setupTimeout: '20s', teardownTimeout: '20s' };

export function setup() {
  const answer = http.post(`${__ENV.HTTP}/setup`, 'open');
  check(answer, { opened: (a) => a.status === 200 });
  sleep(0.1);
  return { key: 'opensesame', shelves: [1, 2, 3], opened: answer.json === undefined };
}

export default function (data) {
  http.get(`${__ENV.HTTP}/shelf`);
  check(data, { data: (d) => d.key === 'opensesame' && d.shelves.length === 3 });
}

export function teardown(data) {
  http.del(`${__ENV.HTTP}/teardown/${data.key}`);
}
