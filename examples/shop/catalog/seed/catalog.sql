--
-- PostgreSQL database dump
--

SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SET check_function_bodies = false;

CREATE TABLE public.products (
    id integer NOT NULL,
    name text NOT NULL,
    cents integer NOT NULL
);

CREATE SEQUENCE public.products_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.products_id_seq OWNED BY public.products.id;
ALTER TABLE ONLY public.products ALTER COLUMN id SET DEFAULT nextval('public.products_id_seq'::regclass);

COPY public.products (id, name, cents) FROM stdin;
1	Espresso beans	1290
2	House blend	1090
3	Decaf Colombia	1190
4	Green tea	690
5	Earl Grey	590
6	Rooibos	550
7	Oolong	890
8	Matcha	1490
9	Cocoa	790
10	Chai	650
11	French press	2990
12	Moka pot	2490
13	Kettle	3990
14	Grinder	8990
15	Scale	2190
16	Paper filters	390
17	Steel filter	1590
18	Mug small	890
19	Mug large	1190
20	Thermos	2590
21	Milk jug	1890
22	Sugar bowl	1290
23	Tea strainer	490
24	Tea tin	990
25	Coffee tin	990
26	Biscotti	450
27	Shortbread	420
28	Waffles	480
29	Gift card 20	2000
30	Gift card 50	5000
\.

SELECT pg_catalog.setval('public.products_id_seq', 30, true);

ALTER TABLE ONLY public.products
    ADD CONSTRAINT products_pkey PRIMARY KEY (id);
