export interface Row { name: string; price: string }

export enum Door { Open = 'open', Shut = 'shut' }
