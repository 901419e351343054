import http, { type RefinedResponse } from 'k6/http';
import { check } from 'k6';
import { Door, type Row } from './lib/types.ts';

export const options = { vus: 1, iterations: 3 };

class Stall<T extends Row> {
  constructor(private readonly rows: T[], public door: Door = Door.Open) {}

  find(name: string): T | undefined {
    return this.rows.find((row) => row.name === name);
  }
}

export default function (): void {
  const stall = new Stall<Row>([{ name: 'lamp', price: '20' }]);
  const answer: RefinedResponse<'text'> = http.get(`${__ENV.HTTP}/typed`);
  check(answer, {
    found: () => stall.find('lamp')?.price === '20' && stall.find('camel')?.price === undefined,
    open: (a) => stall.door === Door.Open && (a.body as string) === 'welcome',
  });
}
