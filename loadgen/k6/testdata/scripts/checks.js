// Checks that hold and that do not, groups in groups, tags, and names of requests.
import http from 'k6/http';
import exec from 'k6/execution';
import { check, group } from 'k6';

export const options = { vus: 2, iterations: 6, tags: { team: 'carpets' }, systemTags: ['status', 'method'] };

export default function () {
  exec.vu.metrics.tags.floor = '2';
  const seen = group('hall', () => {
    http.get(`${__ENV.HTTP}/hall`, { tags: { name: 'the hall', vu: 'mine' } });
    return group('stall', () => {
      const answer = http.get(http.url`${__ENV.HTTP}/stall/${__ITER * 0}`);
      return check(answer, { open: (a) => a.status === 200, empty: (a) => a.body === '' }, { kind: 'stall' });
    });
  });
  check(seen, {
    'one did not hold': (s) => s === false,
    tags: () => exec.vu.metrics.tags.floor === '2' && exec.vu.metrics.tags.team === 'carpets',
  });
  check(null, { throws: () => false });
}
