//! Lists the sample data draws its words from.

pub(crate) const FIRST_NAMES: &[&str] = &[
    "Anna", "Ben", "Clara", "David", "Elena", "Felix", "Grace", "Hugo", "Ines", "Jonas", "Katya", "Leon",
    "Maria", "Noah", "Olivia", "Paul", "Quentin", "Rosa", "Samuel", "Tara", "Umberto", "Vera", "William",
    "Xenia", "Yusuf", "Zoe", "Aisha", "Bruno", "Chloe", "Daniel", "Emma", "Farid", "Giulia", "Hannah",
    "Ivan", "Julia", "Karim", "Laura", "Marek", "Nadia", "Oscar", "Priya", "Rafael", "Sofia", "Thomas",
    "Ursula", "Viktor", "Wanda", "Ming", "Kenji",
];

pub(crate) const LAST_NAMES: &[&str] = &[
    "Adler",
    "Bauer",
    "Costa",
    "Diaz",
    "Eriksen",
    "Fischer",
    "Garcia",
    "Hansen",
    "Ivanova",
    "Jansen",
    "Kowalski",
    "Lopez",
    "Martin",
    "Novak",
    "Olsen",
    "Pereira",
    "Quinn",
    "Rossi",
    "Schmidt",
    "Tanaka",
    "Ueda",
    "Vogel",
    "Weber",
    "Xu",
    "Yilmaz",
    "Zhang",
    "Andersson",
    "Brown",
    "Chen",
    "Dubois",
    "Evans",
    "Fontaine",
    "Green",
    "Huber",
    "Ito",
    "Jones",
    "Keller",
    "Laurent",
    "Meyer",
    "Nguyen",
    "Okafor",
    "Patel",
    "Ricci",
    "Silva",
    "Taylor",
    "Urban",
    "Virtanen",
    "Wagner",
    "Young",
    "Zimmermann",
];

pub(crate) const STREETS: &[&str] = &[
    "Main Street",
    "Station Road",
    "Church Lane",
    "High Street",
    "Park Avenue",
    "Mill Road",
    "School Lane",
    "Elm Street",
    "River Walk",
    "Garden Way",
    "Hill Road",
    "Market Place",
    "Bridge Street",
    "Oak Drive",
    "Harbour View",
    "Castle Row",
];

/// Cities with weights: large ones are frequent.
pub(crate) const CITIES: &[(&str, u64)] = &[
    ("London", 89),
    ("Berlin", 37),
    ("Madrid", 33),
    ("Rome", 28),
    ("Paris", 21),
    ("Vienna", 19),
    ("Hamburg", 18),
    ("Warsaw", 18),
    ("Budapest", 17),
    ("Barcelona", 16),
    ("Munich", 15),
    ("Milan", 14),
    ("Prague", 13),
    ("Cologne", 11),
    ("Stockholm", 10),
    ("Naples", 9),
    ("Amsterdam", 9),
    ("Marseille", 9),
    ("Turin", 8),
    ("Lyon", 5),
    ("Zurich", 4),
    ("Dublin", 6),
    ("Lisbon", 5),
    ("Leeds", 8),
    ("Porto", 2),
    ("Graz", 3),
    ("Bergen", 3),
    ("Ghent", 3),
    ("Basel", 2),
];

/// Products with the weight of each in the quotes asked for.
pub(crate) const PRODUCTS: &[(&str, u64)] =
    &[("car", 45), ("home", 20), ("contents", 14), ("liability", 10), ("travel", 7), ("life", 4)];

pub(crate) const RISK_CLASSES: &[(&str, u64)] =
    &[("low", 30), ("standard", 52), ("elevated", 14), ("high", 4)];

pub(crate) const CHANNELS: &[(&str, u64)] = &[("web", 55), ("app", 20), ("broker", 15), ("phone", 10)];

pub(crate) const CAUSES: &[(&str, u64)] = &[
    ("collision", 38),
    ("water", 19),
    ("theft", 13),
    ("storm", 12),
    ("fire", 5),
    ("glass", 9),
    ("medical", 4),
];

pub(crate) const PAYMENT_METHODS: &[(&str, u64)] = &[("direct_debit", 62), ("card", 27), ("transfer", 11)];

pub(crate) const ADMIN_ROLES: &[(&str, u64)] =
    &[("agent", 60), ("adjuster", 22), ("underwriter", 13), ("manager", 5)];

/// What the insurer's own users do, and what they do it to.
pub(crate) const ADMIN_ACTIONS: &[(&str, u64)] = &[
    ("view customer", 20),
    ("view policy", 14),
    ("view claim", 14),
    ("login admin_user", 11),
    ("comment claim", 9),
    ("change policy", 8),
    ("change customer", 6),
    ("approve claim", 6),
    ("reject claim", 3),
    ("override quote", 4),
    ("refund payment", 3),
    ("export policy", 2),
];

pub(crate) const EVENT_KINDS: &[(&str, u64)] =
    &[("page_view", 70), ("click", 18), ("form_start", 6), ("form_submit", 4), ("error", 2)];

pub(crate) const PAGES: &[(&str, u64)] = &[
    ("/", 30),
    ("/quote/car", 18),
    ("/quote/home", 9),
    ("/policies", 16),
    ("/claims", 8),
    ("/claims/new", 4),
    ("/payments", 7),
    ("/login", 8),
];
